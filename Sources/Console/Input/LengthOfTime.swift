/// A length of time as people type it: `90s`, `10m`, `1h30m`, `2d`, `250ms`.
package enum LengthOfTime {
    /// What is understood, for messages.
    package static let allowed = "a length of time such as 90s, 10m, 1h30m or 2d"

    private static let units: [(name: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000),
        ("w", 604_800_000),
    ]
    /// A hundred years.
    private static let millisecondsMax: Int64 = 3_153_600_000_000

    /// - Returns: `nil` for anything else; a number without a unit could mean anything.
    package static func parse(_ text: String) -> Duration? {
        var rest = Substring(text)
        var total: Int64 = 0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isASCII && $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard let number = Int64(digits), let scale = units.first(where: { $0.name == unit })?.milliseconds else {
                return nil
            }
            let (part, isTooMuch) = number.multipliedReportingOverflow(by: scale)
            guard !isTooMuch, part <= millisecondsMax else { return nil }
            total += part
            guard total <= millisecondsMax else { return nil }
        }
        return .milliseconds(total)
    }
}
