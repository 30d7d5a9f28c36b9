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
    ///
    /// What has passed is cut, what is to come is rounded: what was set to ten minutes is `in 10 min` right after.
    public var agoWords: String {
        let seconds = components.seconds
        if self < .zero {
            let ahead = components.attoseconds < 0 ? 1 - seconds : -seconds
            return "in " + Duration.one(ahead, isRounded: true)
        }
        return seconds < 1 ? "now" : Duration.one(seconds, isRounded: false) + " ago"
    }

    private static func one(_ seconds: Int64, isRounded: Bool) -> String {
        func count(_ unit: Int64) -> Int64 { (seconds + (isRounded ? unit / 2 : 0)) / unit }
        if count(1) < 60 { return "\(seconds) s" }
        if count(60) < 60 { return "\(count(60)) min" }
        if count(3600) < 24 { return "\(count(3600)) h" }
        return "\(count(86_400)) d"
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
