import Testing

@testable import Cron

/// What becomes of ticks where the clocks change, written by hand.
///
/// In 2026: Berlin 29 March 2→3 (01:00Z) and 25 October 3→2 (01:00Z); New York 8 March 2→3 (07:00Z) and 1 November
/// 2→1 (06:00Z); Lord Howe, by half an hour, 5 April 2:00→1:30 (4 April 15:00Z) and 4 October 2:00→2:30 (3 October
/// 15:30Z); Santiago 6 September 0→1 (04:00Z). Apia had no 30 December 2011.
struct ClockChangeTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let cron: String
        let zone: String
        let after: String
        let ticks: [String]
        var testDescription: String { "\(cron) in \(zone) after \(after)" }

        init(_ cron: String, _ zone: String, after: String, _ ticks: String...) {
            (self.cron, self.zone, self.after, self.ticks) = (cron, zone, after, ticks)
        }
    }

    @Test(arguments: [
        // Skipped times of named hours come once, right after the gap.
        Case(
            "30 2 * * *", "Europe/Berlin", after: "2026-03-28T00:00", "2026-03-28T01:30", "2026-03-29T01:00",
            "2026-03-30T00:30"),
        Case(
            "0,30 2 * * *", "Europe/Berlin", after: "2026-03-28T12:00", "2026-03-29T01:00", "2026-03-30T00:00",
            "2026-03-30T00:30"),
        Case("0 2,3 * * *", "Europe/Berlin", after: "2026-03-28T12:00", "2026-03-29T01:00", "2026-03-30T00:00"),
        Case("*/10 2 29 3 *", "Europe/Berlin", after: "2026-03-28T12:00", "2026-03-29T01:00", "2027-03-29T00:00"),
        Case("30 2 * * *", "America/New_York", after: "2026-03-07T12:00", "2026-03-08T07:00", "2026-03-09T06:30"),
        Case("15 2 * * *", "Australia/Lord_Howe", after: "2026-10-03T00:00", "2026-10-03T15:30", "2026-10-04T15:15"),
        Case("0 0 * * *", "America/Santiago", after: "2026-09-05T12:00", "2026-09-06T04:00", "2026-09-07T03:00"),
        Case("@daily", "Pacific/Apia", after: "2011-12-29T12:00", "2011-12-30T10:00", "2011-12-31T10:00"),
        Case(
            "0 9 * * *", "Pacific/Apia", after: "2011-12-29T12:00", "2011-12-29T19:00", "2011-12-30T10:00",
            "2011-12-30T19:00"),
        // Repeated ones come the first time.
        Case("30 2 * * *", "Europe/Berlin", after: "2026-10-24T12:00", "2026-10-25T00:30", "2026-10-26T01:30"),
        Case(
            "15,45 2 * * *", "Europe/Berlin", after: "2026-10-24T12:00", "2026-10-25T00:15", "2026-10-25T00:45",
            "2026-10-26T01:15"),
        Case("0 3 * * *", "Europe/Berlin", after: "2026-10-24T12:00", "2026-10-25T02:00"),
        Case(
            "0 1-4 * * *", "Europe/Berlin", after: "2026-10-24T22:30", "2026-10-24T23:00", "2026-10-25T00:00",
            "2026-10-25T02:00", "2026-10-25T03:00"),
        Case("30 2 * * *", "Europe/Berlin", after: "2026-10-25T01:10", "2026-10-26T01:30"),
        Case("30 1 * * *", "America/New_York", after: "2026-10-31T12:00", "2026-11-01T05:30", "2026-11-02T06:30"),
        Case("0 0 * * SUN", "America/New_York", after: "2026-10-31T12:00", "2026-11-01T04:00", "2026-11-08T05:00"),
        Case("45 1 * * *", "Australia/Lord_Howe", after: "2026-04-04T00:00", "2026-04-04T14:45", "2026-04-05T15:15"),
        // Where every hour counts, the time that passes counts.
        Case(
            "*/20 * * * *", "Europe/Berlin", after: "2026-03-29T00:30", "2026-03-29T00:40", "2026-03-29T01:00",
            "2026-03-29T01:20"),
        Case("0 */2 * * *", "Europe/Berlin", after: "2026-03-28T22:30", "2026-03-28T23:00", "2026-03-29T02:00"),
        Case(
            "30 * * * *", "Europe/Berlin", after: "2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:30",
            "2026-10-25T02:30"),
        Case(
            "*/30 * * * *", "America/New_York", after: "2026-11-01T05:00", "2026-11-01T05:30", "2026-11-01T06:00",
            "2026-11-01T06:30", "2026-11-01T07:00"),
        Case("0 * * * *", "Australia/Lord_Howe", after: "2026-04-04T14:00", "2026-04-04T15:30", "2026-04-04T16:30"),
        // Long after the last change that the file lists.
        Case("30 2 * * *", "Europe/Berlin", after: "2050-03-26T12:00", "2050-03-27T01:00", "2050-03-28T00:30"),
        Case("30 2 * * *", "Europe/Berlin", after: "2050-10-29T12:00", "2050-10-30T00:30", "2050-10-31T01:30"),
        // Summer time that is the rule's winter, and time without any.
        Case("30 1 * * *", "Europe/Dublin", after: "2045-03-25T12:00", "2045-03-26T01:00", "2045-03-27T00:30"),
        Case("30 2 * * *", "Asia/Kolkata", after: "2045-03-25T12:00", "2045-03-25T21:00", "2045-03-26T21:00"),
    ])
    func `a change of the clocks neither loses nor doubles a tick`(_ example: Case) throws {
        let recurrence = try Recurrence(cron: example.cron, everySeconds: nil, timeZone: example.zone)
        let ticks = recurrence.upcoming(example.ticks.count, after: try moment(example.after + ":00Z"))
        #expect(ticks.map(text(of:)) == example.ticks.map { $0 + ":00Z" })
    }

    @Test(arguments: [
        "Europe/berlin", "europe/berlin", "Mars/Olympus", "", "../../etc/passwd", "/etc/localtime",
        "Europe/../Europe/Berlin",
        "posix/Europe/Berlin", "right/Europe/Berlin", "localtime", "Europe", "+02:00", "UTC+2", "Europe/Berlin\0",
        "tzdata.zi", "Factory2",
    ])
    func `an unknown zone is refused with a sentence that tells what to write`(name: String) {
        let error = #expect(throws: CronError.self) { try ZoneDirectory.system.rules(of: name) }
        #expect(error?.description.contains("Europe/Berlin, or UTC") == true, "\(error.debugDescription)")
    }

    @Test func `a machine without zones says what to install, and knows UTC all the same`() throws {
        let empty = ZoneDirectory(path: "/nonexistent")
        #expect(try empty.rules(of: "UTC") == .utc)
        #expect(
            throws: CronError(
                "this machine knows no time zones: install the package tzdata (looked in /nonexistent)",
                isOfMachine: true)
        ) {
            try empty.rules(of: "Europe/Berlin")
        }
    }

    @Test(arguments: [
        "CET-1CEST,M3.5.0,M10.5.0/3", "<+0330>-3:30", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "IST-1GMT0,M10.5.0,M3.5.0/1",
        "EST5EDT,0/0,J365/25", "UTC0",
    ])
    func `rules of POSIX are read`(rule: String) { #expect(PosixZone(rule[...]) != nil) }

    @Test(arguments: [
        "", "CE-1", "CET", "CET-1CEST", "CET-1CEST,M13.1.0,M10.5.0", "CET-1CEST,M3.5.0", "CET-25", "CET-1 ",
    ])
    func `what is no rule of POSIX is not taken for one`(rule: String) { #expect(PosixZone(rule[...]) == nil) }

    @Test func `a zone's file that is cut off anywhere is refused`() throws {
        let whole = try #require(ZoneBytes.read("/usr/share/zoneinfo/America/Santiago"))
        #expect(ZoneRules(tzif: whole) != nil)
        for length in 0..<whole.count { #expect(ZoneRules(tzif: Array(whole[..<length])) == nil, "\(length)") }
    }
}
