/// The entries of a list with commas between them, without the blanks around each.
/// - Throws: `BadValue` where there is nothing between two commas.
func listEntries(_ text: String) throws(BadValue) -> [String] {
    let entries = text.split(separator: ",", omittingEmptySubsequences: false).map(\.trimmingBlanks)
    if let position = entries.firstIndex(of: "") {
        throw BadValue(entries.count == 1 ? "it is empty" : "entry \(position + 1) is empty")
    }
    return entries
}

/// A letter, a digit, `.`, `_` or `-`, all of ASCII.
func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
    default: false
    }
}

func isPath(_ text: String, bytesMax: Int) -> Bool {
    (1...bytesMax).contains(text.utf8.count) && text.unicodeScalars.allSatisfy(isPrintable)
}

func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned: false
    default: true
    }
}

extension StringProtocol {
    /// Without the spaces, tabs and line ends around it.
    var trimmingBlanks: String {
        let blanks: [UInt8] = [0x20, 0x09, 0x0a, 0x0d]
        let bytes = utf8.drop { blanks.contains($0) }
        let length = bytes.reversed().drop { blanks.contains($0) }.count
        return String(decoding: bytes.prefix(length), as: UTF8.self)
    }
}
