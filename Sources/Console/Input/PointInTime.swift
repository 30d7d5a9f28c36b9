import Glibc
package import Postgres

/// A point in time as people type it.
package enum PointInTime {
    /// What is understood, for messages.
    package static let allowed =
        "a time such as 2026-03-02T08:15:00Z, '2026-03-02 08:15' (local time) or 08:15 (the next time it is that late)"

    /// - Parameter now: For a time of day, which means today or tomorrow; in seconds since 1970.
    /// - Returns: `nil` for anything else, and for a local time that a change of clocks leaves out.
    package static func parse(_ text: String, now: Int = time(nil)) -> Timestamp? {
        if let exact = Timestamp(text: text.uppercased()), exact != .distantFuture, exact != .distantPast {
            return exact
        }
        let bytes = Array(text.utf8)
        var wanted = tm()
        wanted.tm_isdst = -1
        if let clock = clock(bytes[...]) {
            var today = now
            localtime_r(&today, &wanted)
            set(clock, &wanted)
            guard let moment = moment(wanted) else { return nil }
            if moment > now { return Timestamp(microseconds: Int64(moment) * 1_000_000) }
            set(clock, &wanted)
            wanted.tm_mday += 1
            return Self.moment(wanted, isDayOpen: true).map { Timestamp(microseconds: Int64($0) * 1_000_000) }
        }
        guard bytes.count >= 16, bytes[10] == UInt8(ascii: " ") || bytes[10] == UInt8(ascii: "T"),
            bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"), let clock = clock(bytes[11...]),
            let year = number(bytes[0..<4]), let month = number(bytes[5..<7]), let day = number(bytes[8..<10])
        else { return nil }
        wanted.tm_year = Int32(year - 1900)
        wanted.tm_mon = Int32(month - 1)
        wanted.tm_mday = Int32(day)
        set(clock, &wanted)
        return moment(wanted).map { Timestamp(microseconds: Int64($0) * 1_000_000) }
    }

    /// `HH:MM` or `HH:MM:SS`.
    private static func clock(_ bytes: ArraySlice<UInt8>) -> (hour: Int, minute: Int, second: Int)? {
        let parts = bytes.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count), parts.allSatisfy({ $0.count == 2 }) else { return nil }
        let numbers = parts.compactMap { number($0) }
        guard numbers.count == parts.count, numbers[0] < 24, numbers[1] < 60 else { return nil }
        let second = numbers.count == 3 ? numbers[2] : 0
        return second < 60 ? (numbers[0], numbers[1], second) : nil
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1) - 0x30 }
    }

    private static func set(_ clock: (hour: Int, minute: Int, second: Int), _ parts: inout tm) {
        parts.tm_hour = Int32(clock.hour)
        parts.tm_min = Int32(clock.minute)
        parts.tm_sec = Int32(clock.second)
        parts.tm_isdst = -1
    }

    /// Seconds since 1970 of a local time; `nil` where there is no such date or time.
    private static func moment(_ wanted: tm, isDayOpen: Bool = false) -> Int? {
        var parts = wanted
        let moment = mktime(&parts)
        guard parts.tm_hour == wanted.tm_hour, parts.tm_min == wanted.tm_min,
            isDayOpen || (parts.tm_mday == wanted.tm_mday && parts.tm_mon == wanted.tm_mon)
        else { return nil }
        return moment
    }
}
