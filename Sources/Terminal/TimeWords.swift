extension Duration {
    /// As people say it: `35 ms`, `1.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
    public var words: String {
        if self < .zero { return "-" + (.zero - self).words }
        let seconds = components.seconds
        switch self {
        case ..<(.milliseconds(10)): return decimal(inMilliseconds: true) + " ms"
        case ..<(.seconds(1)): return "\(components.attoseconds / 1_000_000_000_000_000) ms"
        case ..<(.seconds(10)): return decimal(inMilliseconds: false) + " s"
        case ..<(.seconds(60)): return "\(seconds) s"
        case ..<(.seconds(3600)): return Duration.two(seconds / 60, "min", seconds % 60, "s")
        case ..<(.seconds(86_400)): return Duration.two(seconds / 3600, "h", seconds / 60 % 60, "min")
        default: return Duration.two(seconds / 86_400, "d", seconds / 3600 % 24, "h")
        }
    }

    /// Read as the time since something: `3 min ago`, `now`, and `in 2 h` where it is negative.
    public var agoWords: String {
        let isPast = self >= .zero
        let distance = isPast ? self : .zero - self
        let seconds = distance.components.seconds
        let words: String
        switch seconds {
        case ..<1: return "now"
        case ..<60: words = "\(seconds) s"
        case ..<3600: words = "\(seconds / 60) min"
        case ..<86_400: words = "\(seconds / 3600) h"
        default: words = "\(seconds / 86_400) d"
        }
        return isPast ? "\(words) ago" : "in \(words)"
    }

    private static func two(_ large: Int64, _ unit: String, _ small: Int64, _ smallUnit: String) -> String {
        small == 0 ? "\(large) \(unit)" : "\(large) \(unit) \(small) \(smallUnit)"
    }

    /// With one digit behind the point; what is beyond is cut, so that `9.99 s` doesn't become `10.0 s`.
    private func decimal(inMilliseconds: Bool) -> String {
        let (seconds, attoseconds) = components
        let tenths = (seconds * 1_000_000 + attoseconds / 1_000_000_000_000) / (inMilliseconds ? 100 : 100_000)
        return "\(tenths / 10).\(tenths % 10)"
    }
}
