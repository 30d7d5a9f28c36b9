/// A path with places for values, as `/api/jobs/{id}/logs`.
package struct PathTemplate: Sendable, Hashable, CustomStringConvertible {
    private enum Segment: Hashable {
        case literal(Substring)
        case parameter(String)

        var takesAnything: Bool { if case .parameter = self { true } else { false } }
    }

    package let description: String
    private let segments: [Segment]

    /// - Parameter text: Begins with `/`; a segment in braces takes any one segment of a path.
    package init(_ text: String) {
        precondition(text.hasPrefix("/"), "a path begins with a slash")
        description = text
        segments = Self.split(text).map { segment in
            guard segment.hasPrefix("{"), segment.hasSuffix("}") else { return .literal(segment) }
            return .parameter(String(segment.dropFirst().dropLast()))
        }
    }

    /// The names in braces, in order.
    package var parameters: [String] {
        segments.compactMap { if case .parameter(let name) = $0 { name } else { nil } }
    }

    /// The values a path has in the places for them, percent-decoded; `nil` if it is another path.
    ///
    /// Literals are compared byte by byte: what is spelled otherwise (`//`, `/./`, `%68`) is another path. A value that
    /// hides a slash or a NUL, or is no UTF-8, fits nowhere.
    func values(in path: String) -> [String: String]? {
        let parts = Self.split(path)
        guard path.hasPrefix("/"), parts.count == segments.count else { return nil }
        var values: [String: String] = [:]
        for (segment, part) in zip(segments, parts) {
            switch segment {
            case .literal(let literal): guard literal.utf8.elementsEqual(part.utf8) else { return nil }
            case .parameter(let name):
                guard let value = part.percentDecoded, !value.isEmpty,
                    !value.utf8.contains(where: { $0 == 0 || $0 == 0x2F })
                else { return nil }
                values[name] = value
            }
        }
        return values
    }

    /// Whether this one is asked first where both fit: it has a literal where the other takes anything.
    func isMoreSpecific(than other: PathTemplate) -> Bool {
        segments.lazy.map(\.takesAnything).lexicographicallyPrecedes(other.segments.lazy.map(\.takesAnything)) {
            !$0 && $1
        }
    }

    private static func split(_ path: String) -> [Substring] {
        path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    }
}

extension StringProtocol {
    /// `%41` and the like replaced; `nil` where that is broken or gives no UTF-8.
    var percentDecoded: String? {
        guard utf8.contains(UInt8(ascii: "%")) else { return String(self) }
        var bytes: [UInt8] = []
        var rest = utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
