/// Encodes names and values for the part of a URL behind `?`, in the order given.
///
/// Everything but RFC 3986's unreserved characters is encoded, a space as `%20`, so the result can't
/// be misread whatever the items hold. No items give "".
public func encodeQuery(_ items: [(String, String)]) -> String {
    items.map { "\(percentEncode($0))=\(percentEncode($1))" }.joined(separator: "&")
}

/// Encodes one segment of a path, or one name or value of a query: all bytes of its UTF-8 but
/// letters, digits, `-`, `.`, `_` and `~`.
public func percentEncode(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count)
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "_"), UInt8(ascii: "~"):
            bytes.append(byte)
        default:
            bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 0xF)]]
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
