/// What enrichment must know of an e-mail address.
enum EmailAddress {
    /// Whether the contacts table takes it: characters of an ordinary address, at most 255 of them.
    static func isStorable(_ text: String) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, text.utf8.count <= 255, (1...64).contains(parts[0].utf8.count) else { return false }
        let labels = parts[1].split(separator: ".", omittingEmptySubsequences: false)
        guard labels.count >= 2, let last = labels.last, last.utf8.count >= 2,
            last.utf8.allSatisfy({ $0.isASCIILetter })
        else { return false }
        return labels.allSatisfy { label in
            !label.isEmpty && label.utf8.allSatisfy { $0.isASCIILetter || $0.isASCIIDigit || $0 == UInt8(ascii: "-") }
        }
            && parts[0].utf8.allSatisfy { $0.isASCIILetter || $0.isASCIIDigit || "._%+-".utf8.contains($0) }
    }

    /// Whether it is something to look a person up by; looser than what can be stored.
    static func isPlausible(_ text: String) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        return parts.count == 2 && !parts[0].isEmpty && text.utf8.count <= 320
            && !text.contains(where: \.isWhitespace) && CompanyDomain.normalized(String(parts[1])) != nil
    }

    /// `email_not_unlocked@domain.com` stands for an address that Apollo keeps to itself.
    static func isPlaceholder(_ text: String) -> Bool {
        text.lowercased().hasPrefix("email_not_unlocked@")
    }
}

extension UInt8 {
    fileprivate var isASCIILetter: Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self)
    }
    fileprivate var isASCIIDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
}
