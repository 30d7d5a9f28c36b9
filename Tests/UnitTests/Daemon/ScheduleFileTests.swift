import FoundationEssentials
import JobWorker
import Testing

@testable import Daemon

struct ScheduleFileTests {
    private static let workspace = "workspace_id: 5F0C7E52-0000-4000-8000-000000000001\n"

    @Test func `a file is one schedule, or a list of them`() throws {
        let one = try ScheduleFile(
            parsing: """
                name: nightly
                \(Self.workspace)job_type: report
                cron: 30 2 * * MON-FRI
                timezone: Europe/Berlin
                payload: {count: 5, zip: "01234", list: [1.50, true, null, "true", yes], nested: {a: -0.5e3, b: 0x1}}
                priority: high
                max_attempts: 3
                timeout_seconds: 60
                overlap: allow
                catch_up: none
                enabled: false
                """)
        let schedule = try #require(one.entries.first?.schedule)
        #expect(schedule.name == "nightly")
        let changes = schedule.changes
        #expect(changes.jobType == "report" && changes.pace == .cron("30 2 * * MON-FRI"))
        #expect(
            changes.payload?.text
                == #"{"count":5,"zip":"01234","list":[1.50,true,null,"true","yes"],"nested":{"a":-0.5e3,"b":"0x1"}}"#)
        #expect(changes.priority == 5 && changes.maxAttempts == 3 && changes.timeoutSeconds == 60)
        #expect(changes.overlap == .allow && changes.catchUp == Schedule.CatchUp.none && changes.isEnabled == false)

        let many = try ScheduleFile(
            parsing: """
                - name: a
                  \(Self.workspace)  job_type: x
                  every_seconds: 60

                - name: b
                  \(Self.workspace)  job_type: y
                  cron: "@daily"
                """)
        #expect(many.entries.map(\.line) == [1, 6])
        // What a file leaves out is the usual, but for a pause.
        let usual = many.entries[0].schedule.changes
        #expect(usual.payload?.text == "{}" && usual.queue == "default" && usual.timeZone == "UTC")
        #expect(usual.timeoutSeconds == .some(nil) && usual.isEnabled == nil)
        #expect(try ScheduleFile(parsing: "# nothing yet\n").entries.isEmpty)
    }

    @Test(
        arguments: [
            ("cron: 0 25 * * *", 4, "cron: the hour field '25' has 25, outside 0 to 23"),
            (
                "timezone: Berlin", 4,
                "timezone: the time zone 'Berlin' is not known: write an IANA name such as Europe/Berlin, or UTC"
            ),
            ("cron: \"@daily\"\nevery_seconds: 5", 5, "cron and every_seconds exclude each other"),
            ("every_seconds: 0", 4, "every_seconds must be a whole number from 1 to 31622400"),
            ("overlap: never", 4, "overlap must be allow or skip"),
            ("enabled: maybe", 4, "enabled must be true or false"),
            ("priority: 11", 4, "priority must be high, normal, low or a whole number from -10 to 10"),
            ("crom: x", 4, nil), ("cron: [x", 5, nil), ("cron: *", 4, nil), ("name: y", 4, "has a key twice: 'name'"),
            ("max_attempts: 5", 1, "the schedule lacks cron or every_seconds"),
        ] as [(String, Int, String?)])
    func `a mistake is told with its line`(lines: String, line: Int, text: String?) {
        let error = #expect(throws: ScheduleFile.Problem.self) {
            try ScheduleFile(parsing: "name: x\n\(Self.workspace)job_type: x\n\(lines)\n")
        }
        #expect(error?.line == line)
        if let text { #expect(error?.text == text) }
    }
}
