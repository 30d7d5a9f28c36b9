/// A moment, to the microsecond, as PostgreSQL's `timestamptz` holds it.
///
/// Written and read as text with a zone; the proleptic Gregorian calendar, years 1 to 9999.
public struct Timestamp: Sendable, Hashable, Comparable {
    /// Microseconds since 1970-01-01T00:00:00Z; the extremes stand for ±infinity.
    public let microseconds: Int64

    public static let distantFuture = Timestamp(microseconds: .max)
    public static let distantPast = Timestamp(microseconds: .min)

    public init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.microseconds < right.microseconds
    }

    /// Reads RFC 3339 (`2026-03-02T08:15:00.000Z`) and PostgreSQL's ISO form
    /// (`2026-03-02 08:15:00.123456+00`).
    ///
    /// - Returns: `nil` for anything else, a missing zone included.
    public init?(text: String) {
        var text = text
        guard let moment = text.withUTF8({ Timestamp(utf8: UnsafeRawBufferPointer($0)) }) else { return nil }
        self = moment
    }

    /// As `init(text:)`.
    init?(utf8 bytes: UnsafeRawBufferPointer) {
        if bytes.elementsEqual("infinity".utf8) {
            self = .distantFuture
            return
        }
        if bytes.elementsEqual("-infinity".utf8) {
            self = .distantPast
            return
        }
        var scanner = Scanner(bytes)
        guard let year = scanner.digits(4), year >= 1, scanner.skip("-"),
            let month = scanner.digits(2), (1...12).contains(month), scanner.skip("-"),
            let day = scanner.digits(2), (1...Timestamp.days(in: month, of: year)).contains(day),
            scanner.skip("T") || scanner.skip("t") || scanner.skip(" "),
            let hour = scanner.digits(2), hour <= 23, scanner.skip(":"),
            let minute = scanner.digits(2), minute <= 59, scanner.skip(":"),
            let second = scanner.digits(2), second <= 59
        else { return nil }
        var fraction: Int64 = 0
        if scanner.skip(".") {
            guard let digits = scanner.fraction() else { return nil }
            fraction = digits
        }
        guard let offset = scanner.zone(), scanner.isAtEnd else { return nil }
        let days = Timestamp.daysSinceEpoch(year: year, month: month, day: day)
        let seconds = Int64(days) * 86_400 + Int64(hour * 3600 + minute * 60 + second - offset)
        microseconds = seconds * 1_000_000 + fraction
    }

    /// The moment `duration` later; saturates at the extremes.
    public func advanced(by duration: Duration) -> Timestamp {
        let (seconds, attoseconds) = duration.components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        guard !overflow else { return seconds > 0 ? .distantFuture : .distantPast }
        let (sum, overflowed) = microseconds.addingReportingOverflow(
            scaled + attoseconds / 1_000_000_000_000)
        guard !overflowed else { return seconds > 0 ? .distantFuture : .distantPast }
        return Timestamp(microseconds: sum)
    }

    /// The time from `earlier` to this moment; negative when `earlier` is later.
    public func duration(since earlier: Timestamp) -> Duration {
        let (difference, overflow) = microseconds.subtractingReportingOverflow(earlier.microseconds)
        guard !overflow else { return .seconds((self < earlier ? Int64.min : .max) / 1_000_000) }
        return .microseconds(difference)
    }
}

extension Timestamp: CustomStringConvertible {
    /// RFC 3339 in UTC with milliseconds, as the HTTP surface writes it.
    public var description: String { text(fractionDigits: 3) }

    /// RFC 3339 in UTC.
    /// - Parameter fractionDigits: 0 to 6; what is beyond them is cut, not rounded.
    public func text(fractionDigits: Int) -> String {
        if self == .distantFuture { return "infinity" }
        if self == .distantPast { return "-infinity" }
        let perDay: Int64 = 86_400_000_000
        let day = Timestamp.floorDivide(microseconds, by: perDay)
        // Not by day * perDay, which overflows beside the extremes.
        let inDay = (microseconds % perDay + perDay) % perDay
        let (year, month, dayOfMonth) = Timestamp.civil(daysSinceEpoch: Int(day))
        let seconds = Int(inDay / 1_000_000)
        var text = Timestamp.pad(year, 4) + "-" + Timestamp.pad(month, 2) + "-" + Timestamp.pad(dayOfMonth, 2)
        text += "T" + Timestamp.pad(seconds / 3600, 2) + ":" + Timestamp.pad(seconds / 60 % 60, 2)
        text += ":" + Timestamp.pad(seconds % 60, 2)
        if fractionDigits > 0 {
            text += "." + Timestamp.pad(Int(inDay % 1_000_000), 6).prefix(fractionDigits)
        }
        return text + "Z"
    }

    private static func pad(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    private static func floorDivide(_ value: Int64, by divisor: Int64) -> Int64 {
        let quotient = value / divisor
        return value % divisor < 0 ? quotient - 1 : quotient
    }
}

extension Timestamp: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Timestamp(text: text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "not an RFC 3339 time: \(text.prefix(40))")
        }
        self = value
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

// Calendar arithmetic: Howard Hinnant's days_from_civil and civil_from_days,
// https://howardhinnant.github.io/date_algorithms.html
extension Timestamp {
    static func days(in month: Int, of year: Int) -> Int {
        switch month {
        case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    static func daysSinceEpoch(year: Int, month: Int, day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    static func civil(daysSinceEpoch days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}

/// Reads the fixed-width parts of a time, a byte at a time.
private struct Scanner {
    private let bytes: UnsafeRawBufferPointer
    private var place = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isAtEnd: Bool { place == bytes.count }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard place < bytes.count, UInt32(bytes[place]) == character.value else { return false }
        place += 1
        return true
    }

    mutating func digits(_ count: Int) -> Int? {
        var value = 0
        for _ in 0..<count {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    /// The digits after a decimal point, as microseconds; more than six are cut.
    mutating func fraction() -> Int64? {
        var value: Int64 = 0
        var count = 0
        while let digit = digit() {
            if count < 6 { value = value * 10 + Int64(digit) }
            count += 1
        }
        guard count > 0 else { return nil }
        for _ in min(count, 6)..<6 { value *= 10 }
        return value
    }

    /// `Z`, `+HH`, `+HHMM`, `+HH:MM` or `+HH:MM:SS`, as seconds east of Greenwich.
    mutating func zone() -> Int? {
        if skip("Z") || skip("z") { return 0 }
        let sign: Int
        if skip("+") { sign = 1 } else if skip("-") { sign = -1 } else { return nil }
        guard let hours = digits(2), hours <= 15 else { return nil }
        var seconds = hours * 3600
        if skip(":") || !isAtEnd {
            guard let minutes = digits(2), minutes <= 59 else { return nil }
            seconds += minutes * 60
            if skip(":") {
                guard let extra = digits(2), extra <= 59 else { return nil }
                seconds += extra
            }
        }
        return sign * seconds
    }

    private mutating func digit() -> Int? {
        guard place < bytes.count, (48...57).contains(bytes[place]) else { return nil }
        defer { place += 1 }
        return Int(bytes[place]) - 48
    }
}
