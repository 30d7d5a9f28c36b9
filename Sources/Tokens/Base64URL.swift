import FoundationEssentials

extension StringProtocol {
    /// The bytes that base64url without padding stands for (RFC 4648, section 5); `nil` for anything else, several
    /// spellings of the same bytes included.
    var base64URLDecoded: Data? {
        var text = ""
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "-"): text += "+"
            case UInt8(ascii: "_"): text += "/"
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default: return nil
            }
        }
        let padding = String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        guard padding.count < 3, let data = Data(base64Encoded: text + padding),
            data.base64EncodedString() == text + padding
        else { return nil }
        return data
    }
}
