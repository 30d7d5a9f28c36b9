import FoundationEssentials
import Postgres
import Testing

@Suite struct TimestampTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-03-02T08:15:00.000Z", 1_772_439_300_000_000),
        ("2026-03-02 08:15:00.123456+00", 1_772_439_300_123_456),
        ("2026-03-02 09:15:00+01", 1_772_439_300_000_000),
        ("2026-03-02T02:45:00-05:30", 1_772_439_300_000_000),
        ("2026-03-02T09:15:00+0100", 1_772_439_300_000_000),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2024-02-29t12:00:00z", 1_709_208_000_000_000),
        // Local time before 1900, as PostgreSQL writes it for old dates.
        ("1800-01-01 00:53:28+00:53:28", -5_364_662_400_000_000),
        ("2026-03-02T08:15:00.1234569Z", 1_772_439_300_123_456),
        ("infinity", Int64.max), ("-infinity", Int64.min),
    ])
    func `times are read in RFC 3339 and in PostgreSQL's form`(text: String, microseconds: Int64) {
        #expect(Timestamp(text: text)?.microseconds == microseconds)
    }

    @Test(arguments: [
        "2026-03-02T08:15:00", "2026-03-02", "2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+1", "2026-01-01T00:00:00+16",
        "2026-01-01T00:00:00+01:60", "2026-01-01T00:00:00Z ", " 2026-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "", "Z",
        "２０２６-01-01T00:00:00Z",
    ])
    func `what is no complete, valid time with a zone is refused`(text: String) {
        #expect(Timestamp(text: text) == nil)
    }

    @Test(arguments: [
        "0001-01-01T00:00:00.000000Z", "1582-10-15T00:00:00.000000Z", "1900-02-28T23:59:59.999999Z",
        "1969-12-31T23:59:59.000001Z", "2000-02-29T00:00:00.000000Z", "2026-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59.999999Z", "infinity", "-infinity",
    ])
    func `a time survives being written and read`(text: String) {
        #expect(Timestamp(text: text)?.text(fractionDigits: 6) == text)
    }

    @Test func `every day of 800 years comes out of the calendar as it went in`() {
        var day = Timestamp(text: "1700-01-01T00:00:00Z")!
        let end = Timestamp(text: "2500-01-01T00:00:00Z")!
        var count = 0
        var previous = ""
        var wrong: [String] = []
        while day < end {
            let text = day.description
            if text <= previous || Timestamp(text: text) != day { wrong.append(text) }
            previous = text
            day = day.advanced(by: .seconds(86_400))
            count += 1
        }
        #expect(wrong.isEmpty && day == end && count == 292_194)
    }

    @Test func `fractions are cut, not rounded`() {
        let time = Timestamp(text: "2026-03-02T08:15:00.999999Z")!
        #expect(time.text(fractionDigits: 0) == "2026-03-02T08:15:00Z")
        #expect(time.description == "2026-03-02T08:15:00.999Z")
        #expect(Timestamp(microseconds: -1).description == "1969-12-31T23:59:59.999Z")
    }

    @Test func `durations reach from one time to the other, and stop at the extremes`() {
        let time = Timestamp(text: "2026-03-02T08:15:00Z")!
        let later = time.advanced(by: .milliseconds(1500))
        #expect(later.description == "2026-03-02T08:15:01.500Z")
        #expect(later.duration(since: time) == .milliseconds(1500))
        #expect(time.duration(since: later) == .milliseconds(-1500))
        #expect(time.advanced(by: .seconds(Int64.max)) == .distantFuture)
        #expect(time.advanced(by: .seconds(Int64.min)) == .distantPast)
        #expect(Timestamp.distantFuture.advanced(by: .seconds(1)) == .distantFuture)
        #expect(Timestamp.distantPast.advanced(by: .seconds(-1)) == .distantPast)
    }

    @Test func `the time from one extreme to the other has the right sign`() {
        #expect(Timestamp.distantFuture.duration(since: .distantPast) > .zero)
        #expect(Timestamp.distantPast.duration(since: .distantFuture) < .zero)
    }

    @Test func `the last moments before the extremes have a text, too`() {
        #expect(Timestamp(microseconds: .max - 1).text(fractionDigits: 6) == "294247-01-10T04:00:54.775806Z")
        #expect(Timestamp(microseconds: .min + 1).text(fractionDigits: 6).hasSuffix("T19:59:05.224193Z"))
    }

    @Test func `as JSON a time is its text, and a bad one is named`() throws {
        let time = Timestamp(text: "2026-03-02T08:15:00.123Z")!
        let json = try JSONEncoder().encode([time])
        #expect(String(decoding: json, as: UTF8.self) == "[\"2026-03-02T08:15:00.123Z\"]")
        #expect(try JSONDecoder().decode([Timestamp].self, from: json) == [time])
        #expect {
            try JSONDecoder().decode([Timestamp].self, from: Data("[\"tomorrow\"]".utf8))
        } throws: {
            "\($0)".contains("not an RFC 3339 time: tomorrow")
        }
    }
}
