import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct SchedulesCommandTests {
    let database = TestDatabase.current

    private func schedules(_ arguments: String...) async throws -> CommandRun {
        try await CommandRun.of(arguments: ["schedules"] + arguments, database: database)
    }

    @Test func `set adds a schedule, changes what is given, and leaves the rest`() async throws {
        let workspace = TestDatabase.workspace.text
        let added = try await schedules(
            "set", "nightly", "--workspace", workspace, "--type", "report", "--cron", "30 2 * * *", "--timezone",
            "Europe/Berlin", "--payload", #"{"a":1}"#, "--json")
        #expect(added.status == 0, "\(added.error)")
        #expect(try added.json()["cron"] == "30 2 * * *")
        #expect(try added.json()["next_runs"]?.array?.count == 5)

        let changed = try await schedules("set", "nightly", "--every", "15m", "--priority", "-5", "--json")
        #expect(try changed.json()["every_seconds"] == 900 && changed.json()["cron"] == .null)
        #expect(try changed.json()["priority"] == -5 && changed.json()["payload"] == ["a": 1])
        let same = try await schedules("set", "nightly", "--every", "15m")
        #expect(same.status == 0 && same.error.contains("Nothing differs."))

        let again = try await schedules(
            "add", "nightly", "--workspace", workspace, "--type", "report", "--cron", "@daily")
        #expect(again.status == 1 && again.error.contains("there is a schedule 'nightly'"))
        #expect(try await database.count("action = 'schedule.add' AND via = 'cli'", of: "public.job_audit") == 1)
        #expect(try await database.count("action = 'schedule.change' AND via = 'cli'", of: "public.job_audit") == 1)
    }

    @Test func `a schedule is shown, paused, resumed, run and removed by its name`() async throws {
        _ = try await schedules(
            "add", "tidy", "--workspace", TestDatabase.workspace.text, "--type", "noop", "--cron", "0 9 * * MON",
            "--timezone", "America/New_York")
        let shown = try await schedules("show", "tidy")
        #expect(shown.output.contains("0 9 * * MON America/New_York"))
        #expect(shown.lines.filter { $0.hasSuffix(" 09:00:00 America/New_York") }.count == 5)
        #expect(try await schedules("pause", "tidy").output.contains("paused"))
        #expect(try await schedules("list").output.contains("paused"))
        #expect(try await database.count("NOT enabled", of: "public.job_schedules") == 1)
        let run = try await schedules("run", "tidy")
        #expect(run.status == 0)
        #expect(try await database.count("id = '\(run.lines.first ?? "")' AND status = 'pending'") == 1)
        #expect(try await schedules("resume", "tidy").status == 0)
        #expect(try await database.count("enabled AND next_run_at > now()", of: "public.job_schedules") == 1)
        #expect(try await schedules("remove", "tidy").status == 0)
        for verb in ["show", "pause", "resume", "run", "remove"] {
            #expect(try await schedules(verb, "tidy").status == 2, "\(verb)")
        }
    }

    @Test func `a name that several workspaces use is told apart by the workspace`() async throws {
        let other = try await database.insertWorkspace()
        for workspace in [TestDatabase.workspace, other] {
            _ = try await schedules(
                "add", "x", "--workspace", workspace.text, "--type", "noop", "--every", "1h")
        }
        let vague = try await schedules("pause", "x")
        #expect(vague.status == 64 && vague.error.contains("Name one with --workspace."))
        #expect(try await schedules("pause", "x", "--workspace", other.text).status == 0)
        #expect(
            try await database.count("NOT enabled AND workspace_id = '\(other.text)'", of: "public.job_schedules") == 1)
        let list = try await schedules("list", "--workspace", other.text, "--json")
        #expect(try list.json()["schedules"]?.array?.count == 1)
    }

    @Test(arguments: [
        (["--type", "x"], "--cron or --every"), (["--cron", "@daily"], "--type"),
        (["--type", "x", "--cron", "@daily", "--every", "5m"], "exclude each other"),
        (["--type", "x", "--cron", "0 25 * * *"], "the hour field '25' has 25, outside 0 to 23"),
        (["--type", "x", "--cron", "@daily", "--timezone", "Nowhere"], "write an IANA name"),
        (["--type", "x", "--cron", "@daily", "--payload", "{"], "the payload"),
    ])
    func `what can't work is refused as a mistake in the command`(arguments: [String], words: String) async throws {
        let run = try await CommandRun.of(
            arguments: ["schedules", "set", "x", "--workspace", TestDatabase.workspace.text] + arguments,
            database: database)
        #expect(run.status == 64)
        #expect(run.error.contains(words), "\(run.error)")
        #expect(try await database.count("true", of: "public.job_schedules") == 0)
    }

    @Test func `next prints times by UTC and by the wall clock, without a database`() async throws {
        let run = try await CommandRun.of(
            "schedules", "next", "30 2 * * *", "--timezone", "Europe/Berlin", "-n", "2", "--after",
            "2026-03-28T12:00:00Z")
        #expect(
            run.output == """
                2026-03-29 01:00:00Z  2026-03-29 03:00:00 Europe/Berlin
                2026-03-30 00:30:00Z  2026-03-30 02:30:00 Europe/Berlin

                """)
        let bad = try await CommandRun.of("schedules", "next", "30 2 * *")
        #expect(bad.status == 64 && bad.error.contains("has 4 fields"))
    }
}
