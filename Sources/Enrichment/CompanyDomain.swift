/// A company's domain as accounts and the cache hold it: `nordlicht.example.com`.
enum CompanyDomain {
    /// Lower case, without scheme, user, `www.`, port, path and trailing dot.
    ///
    /// - Returns: `nil` for what is no domain: no dot, an address of numbers, characters no host name has.
    static func normalized(_ text: String) -> String? {
        guard var domain = text.cleaned?.lowercased() else { return nil }
        if let scheme = domain.firstRange(of: "://") { domain.removeSubrange(..<scheme.upperBound) }
        if domain.hasPrefix("//") { domain.removeFirst(2) }
        domain = String(domain.prefix { $0 != "/" && $0 != "?" && $0 != "#" && $0 != "\\" })
        if let at = domain.lastIndex(of: "@") { domain.removeSubrange(...at) }
        domain = String(domain.prefix { $0 != ":" })
        while domain.last == "." { domain.removeLast() }
        if domain.hasPrefix("www."), domain.dropFirst(4).contains(".") { domain.removeFirst(4) }
        return isDomain(domain) ? domain : nil
    }

    private static func isDomain(_ domain: String) -> Bool {
        let labels = domain.split(separator: ".", omittingEmptySubsequences: false)
        guard domain.utf8.count <= 253, labels.count >= 2, let last = labels.last,
            !last.allSatisfy(\.isNumber)
        else { return false }
        return labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.allSatisfy { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" }
        }
    }
}
