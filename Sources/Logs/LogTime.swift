import Glibc

/// A moment, and how far the clock on the wall is from UTC.
public struct LogTime: Sendable {
    public let secondsSince1970: Int
    public let milliseconds: Int
    /// East of Greenwich is positive.
    public let utcOffsetSeconds: Int

    public init(secondsSince1970: Int, milliseconds: Int = 0, utcOffsetSeconds: Int = 0) {
        self.secondsSince1970 = secondsSince1970
        self.milliseconds = milliseconds
        self.utcOffsetSeconds = utcOffsetSeconds
    }

    /// Now, with no offset.
    @Sendable
    public static func utc() -> LogTime {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return LogTime(secondsSince1970: now.tv_sec, milliseconds: now.tv_nsec / 1_000_000)
    }

    /// Now, with the offset of this machine's time zone (`TZ`).
    @Sendable
    public static func local() -> LogTime {
        let now = utc()
        var seconds = time_t(now.secondsSince1970)
        var parts = tm()
        localtime_r(&seconds, &parts)
        return LogTime(
            secondsSince1970: now.secondsSince1970, milliseconds: now.milliseconds,
            utcOffsetSeconds: parts.tm_gmtoff)
    }

    /// `12:00:01`, on the wall.
    var clock: String {
        let parts = calendar(secondsSince1970 + utcOffsetSeconds)
        return "\(padded(parts.tm_hour)):\(padded(parts.tm_min)):\(padded(parts.tm_sec))"
    }

    /// `2026-01-31T12:00:01.250Z`
    var rfc3339: String {
        let parts = calendar(secondsSince1970)
        // Each line has one: written digit by digit.
        return String(unsafeUninitializedCapacity: 32) { bytes in
            var count = 0
            func add(_ number: Int, _ width: Int, _ separator: Unicode.Scalar) {
                var rest = number
                for place in stride(from: count + width - 1, through: count, by: -1) {
                    bytes[place] = UInt8(truncatingIfNeeded: 0x30 + rest % 10)
                    rest /= 10
                }
                bytes[count + width] = UInt8(ascii: separator)
                count += width + 1
            }
            add(Int(parts.tm_year) + 1900, 4, "-")
            add(Int(parts.tm_mon) + 1, 2, "-")
            add(Int(parts.tm_mday), 2, "T")
            add(Int(parts.tm_hour), 2, ":")
            add(Int(parts.tm_min), 2, ":")
            add(Int(parts.tm_sec), 2, ".")
            add(milliseconds, 3, "Z")
            return count
        }
    }

    private func calendar(_ seconds: Int) -> tm {
        var seconds = time_t(seconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        return parts
    }

    private func padded(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
