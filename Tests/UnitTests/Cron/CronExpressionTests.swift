import Postgres
import Testing

@testable import Cron

struct CronExpressionTests {
    @Test(arguments: [
        ("0 9 * * MON-FRI", "2026-11-27T12:00:00Z", ["2026-11-30T09:00", "2026-12-01T09:00"]),
        ("*/15 8-9 * * *", "2026-11-27T08:40:00Z", ["2026-11-27T08:45", "2026-11-27T09:00", "2026-11-27T09:15"]),
        ("0 0 13 * FRI", "2026-11-27T12:00:00Z", ["2026-12-04T00:00", "2026-12-11T00:00", "2026-12-13T00:00"]),
        ("0 0 L * *", "2026-01-31T00:00:00Z", ["2026-02-28T00:00", "2026-03-31T00:00"]),
        ("0 0 15,L FEB *", "2027-02-15T00:00:00Z", ["2027-02-28T00:00", "2028-02-15T00:00", "2028-02-29T00:00"]),
        ("30 18 * * FRIL", "2026-11-27T12:00:00Z", ["2026-11-27T18:30", "2026-12-25T18:30"]),
        ("0 6 * * 5L,MON", "2026-11-25T12:00:00Z", ["2026-11-27T06:00", "2026-11-30T06:00", "2026-12-07T06:00"]),
        ("0 0 29 2 *", "2096-03-01T00:00:00Z", ["2104-02-29T00:00"]),
        ("0 0 * * 7", "2026-11-27T12:00:00Z", ["2026-11-29T00:00"]),
        ("0 0 * * FRI-SUN", "2026-11-28T12:00:00Z", ["2026-11-29T00:00", "2026-12-04T00:00"]),
        ("0 0 * * SAT-MON", "2026-11-27T12:00:00Z", ["2026-11-28T00:00", "2026-11-29T00:00", "2026-11-30T00:00"]),
        (
            "0 0 1 NOV-FEB *", "2026-11-27T12:00:00Z",
            ["2026-12-01T00:00", "2027-01-01T00:00", "2027-02-01T00:00", "2027-11-01T00:00"]
        ),
        ("50/5 23 31 dec ?", "2026-11-27T12:00:00Z", ["2026-12-31T23:50", "2026-12-31T23:55"]),
        ("0 0 */10 * *", "2026-11-27T12:00:00Z", ["2026-12-01T00:00", "2026-12-11T00:00"]),
        ("0 0 * * 4/2", "2026-11-27T12:00:00Z", ["2026-11-28T00:00", "2026-12-03T00:00"]),
        ("\t1  2 3 4\t* ", "2026-11-27T12:00:00Z", ["2027-04-03T02:01"]),
        ("@hourly", "2026-11-27T12:00:00Z", ["2026-11-27T13:00"]),
        ("@daily", "2026-11-27T12:00:00Z", ["2026-11-28T00:00"]),
        ("@midnight", "2026-11-27T12:00:00Z", ["2026-11-28T00:00"]),
        ("@Weekly", "2026-11-27T12:00:00Z", ["2026-11-29T00:00"]),
        ("@monthly", "2026-11-27T12:00:00Z", ["2026-12-01T00:00"]),
        ("@yearly", "2026-11-27T12:00:00Z", ["2027-01-01T00:00"]),
        ("@annually", "2026-11-27T12:00:00Z", ["2027-01-01T00:00"]),
    ])
    func `the next times of an expression`(text: String, after: String, expected: [String]) throws {
        let recurrence = Recurrence.cron(try CronExpression(text), .utc)
        let ticks = recurrence.upcoming(expected.count, after: try moment(after))
        #expect(ticks.map(text(of:)) == expected.map { $0 + ":00Z" })
    }

    @Test(arguments: [
        ("60 * * * *", "the minute field '60' has 60, outside 0 to 59"),
        ("0 24 * * *", "the hour field '24' has 24, outside 0 to 23"),
        ("0 0 0 * *", "the day-of-month field '0' has 0, outside 1 to 31"),
        ("0 0 1 13 *", "the month field '13' has 13, outside 1 to 12"),
        ("0 0 * * 8", "the day-of-week field '8' has 8, outside 0 to 7"),
        (
            "0 0 * * 1,FOO",
            "the day-of-week field '1,FOO' has 'FOO', which is not a number or one of SUN MON TUE WED THU FRI SAT"
        ),
        ("x * * * *", "the minute field 'X' has 'X', which is not a number"),
        ("1,,2 * * * *", "the minute field '1,,2' has an empty place between commas"),
        ("*/0 * * * *", "the minute field '*/0' needs a number above 0 after the '/' of '*/0'"),
        ("*/ * * * *", "the minute field '*/' needs a number above 0 after the '/' of '*/'"),
        ("1/2/3 * * * *", "the minute field '1/2/3' has more than one '/' in '1/2/3'"),
        ("1-2-3 * * * *", "the minute field '1-2-3' has more than one '-' in '1-2-3'"),
        ("-5 * * * *", "the minute field '-5' lacks a value"),
        ("0 22-2 * * *", "the hour field '22-2' goes backwards in '22-2': write '22-23,0-2'"),
        ("0 0 * * L", "the day-of-week field 'L' needs a day before 'L': FRIL is the last Friday of the month"),
        ("L * * * *", "the minute field 'L' has 'L', which is not a number"),
        ("0 ? * * *", "the hour field '?' has '?', which is not a number"),
        ("0 0 31 FEB,APR *", "the day-of-month field '31' names no day of the months 'FEB,APR'"),
        (
            "* * * *",
            "'* * * *' has 4 fields: a cron expression has five: minute, hour, day of month, month, day of week"
        ),
        ("", "'' has 0 fields: a cron expression has five: minute, hour, day of month, month, day of week"),
        (
            "0 * * * * *",
            "'0 * * * * *' has 6 fields: a cron expression has five: minute, hour, day of month, month, day of week"
        ),
        (
            "@reboot",
            "'@reboot' is not known: write @hourly, @daily, @weekly, @monthly, @yearly or five fields; for a fixed interval give every_seconds instead"
        ),
    ])
    func `a wrong expression is refused with a sentence that names the field`(text: String, sentence: String) {
        #expect(throws: CronError(sentence)) { try CronExpression(text) }
    }

    @Test func `an expression without end is refused`() {
        #expect(throws: CronError.self) { try CronExpression(String(repeating: "1,", count: 200) + "1 * * * *") }
    }

    @Test func `an interval goes on from the tick before`() throws {
        let recurrence = try Recurrence(cron: nil, everySeconds: 90, timeZone: "UTC")
        #expect(
            recurrence.upcoming(2, after: try moment("2026-11-27T12:00:07.25Z")).map(text(of:))
                == ["2026-11-27T12:01:37Z", "2026-11-27T12:03:07Z"])
    }

    @Test func `cron and an interval exclude each other`() {
        #expect(throws: CronError("give either cron or every_seconds")) {
            try Recurrence(cron: "@daily", everySeconds: 5, timeZone: "UTC")
        }
        #expect(throws: CronError("give either cron or every_seconds")) {
            try Recurrence(cron: nil, everySeconds: nil, timeZone: "UTC")
        }
        #expect(throws: CronError("every_seconds must be above 0")) {
            try Recurrence(cron: nil, everySeconds: 0, timeZone: "UTC")
        }
    }

    // MARK: What has come due

    @Test func `the ticks that have come due, and the next`() throws {
        let recurrence = try Recurrence(cron: "0 * * * *", everySeconds: nil, timeZone: "UTC")
        let due = recurrence.due(
            from: try moment("2026-11-27T09:00:00Z"), through: try moment("2026-11-27T12:00:00Z"), atMost: 10)
        #expect(
            due.ticks.map(text(of:)) == [
                "2026-11-27T09:00:00Z", "2026-11-27T10:00:00Z", "2026-11-27T11:00:00Z", "2026-11-27T12:00:00Z",
            ])
        #expect(due.next.map(text(of:)) == "2026-11-27T13:00:00Z")
        #expect(!due.isCut)
    }

    @Test(arguments: ["* * * * *", "0 0 1 * *", "*/7 3 * * *"])
    func `of a long absence only the latest ticks are told`(cron: String) throws {
        let recurrence = try Recurrence(cron: cron, everySeconds: nil, timeZone: "Europe/Berlin")
        let (first, now) = (try moment("1990-01-01T00:00:00Z"), try moment("2026-11-27T12:00:30Z"))
        let due = recurrence.due(from: first, through: now, atMost: 3)
        #expect(due.isCut)
        #expect(due.ticks.count == 3)
        let last = try #require(due.ticks.first)
        #expect(recurrence.upcoming(3, after: last) == Array(due.ticks.dropFirst()) + [try #require(due.next)])
        #expect(try #require(due.ticks.last) <= now)
        #expect(try #require(due.next) > now)
    }

    @Test func `of a long absence only an interval's latest ticks are told`() throws {
        let recurrence = try Recurrence(cron: nil, everySeconds: 1, timeZone: "UTC")
        let due = recurrence.due(
            from: try moment("1990-01-01T00:00:00.5Z"), through: try moment("2026-11-27T12:00:00Z"), atMost: 1000)
        #expect(due.ticks.count == 1000)
        #expect(due.isCut)
        #expect(due.ticks.last == (try moment("2026-11-27T11:59:59.5Z")))
        #expect(due.next == (try moment("2026-11-27T12:00:00.5Z")))
    }

    @Test func `nothing is due before the first tick`() throws {
        let recurrence = try Recurrence(cron: "@hourly", everySeconds: nil, timeZone: "UTC")
        #expect(recurrence.due(from: 5_000_000, through: 4_999_999, atMost: 1).ticks.isEmpty)
        #expect(recurrence.due(from: 5_000_000, through: 5_000_000, atMost: 1).ticks == [5_000_000])
    }
}

/// Microseconds since 1970.
func moment(_ text: String) throws -> Int { Int(try #require(Timestamp(text: text)).microseconds) }

func text(of moment: Int) -> String { Timestamp(microseconds: Int64(moment)).text(fractionDigits: 0) }
