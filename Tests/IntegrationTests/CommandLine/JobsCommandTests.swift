import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct JobsCommandTests {
    let database = TestDatabase.current

    private func jobs(_ arguments: String...) async throws -> CommandRun {
        try await CommandRun.of(arguments: ["jobs"] + arguments, database: database)
    }

    private func ids(_ run: CommandRun) throws -> [String] {
        #expect(run.status == 0, "\(run.error)")
        return try run.json()["jobs"]?.array?.compactMap { $0["id"]?.string } ?? []
    }

    @Test func `pages follow one another without a gap or a repeat, rows without a time among them`() async throws {
        var expected: Set<String> = []
        for index in 0..<11 {
            expected.insert(try await database.insertJob(createdAgo: .seconds(index / 3)).text)
        }
        try await database.run(
            """
            ALTER TABLE public.jobs DISABLE TRIGGER jobs_insert;
            INSERT INTO public.jobs (workspace_id, job_type, payload, status, created_at)
            SELECT '\(TestDatabase.workspace.text)', 'old', '{}', 'completed', NULL FROM generate_series(1, 5)
            """)
        var seen: [String] = []
        var cursor: String?
        repeat {
            let page = try await CommandRun.of(
                arguments: ["jobs", "list", "--limit", "3", "--json"] + (cursor.map { ["--cursor", $0] } ?? []),
                database: database)
            seen += try ids(page)
            cursor = try page.json()["next_cursor"]?.string
        } while cursor != nil
        #expect(seen.count == 16 && Set(seen).count == 16 && Set(seen).isSuperset(of: expected))
    }

    @Test func `filters hold together`() async throws {
        let other = try await database.insertWorkspace()
        let wanted = try await database.insertJob(
            "report", status: .failed, queue: "imports", createdAgo: .seconds(7200), errorMessage: "Apollo 100% DOWN_")
        try await database.insertJob(
            "report", status: .failed, workspace: other, queue: "imports", createdAgo: .seconds(7200))
        try await database.insertJob("report", status: .failed, queue: nil, createdAgo: .seconds(7200))
        try await database.insertJob("noop", status: .failed, queue: "imports", createdAgo: .seconds(7200))
        try await database.insertJob("report", queue: "imports", createdAgo: .seconds(7200))
        try await database.insertJob("report", status: .failed, queue: "imports")
        let workspace = TestDatabase.workspace.text
        let filter = [
            "--workspace", workspace, "--queue", "imports", "--type", "report", "--status", "failed", "--older-than",
            "1h",
        ]
        #expect(
            try ids(try await CommandRun.of(arguments: ["jobs", "list", "--json"] + filter, database: database))
                == [wanted.text])
        #expect(try ids(try await jobs("list", "--json", "--search", "100% down_")) == [wanted.text])
        #expect(try ids(try await jobs("list", "--json", "--search", "100_")) == [])
        #expect(try ids(try await jobs("list", "--json", "--search", String(wanted.text.prefix(13)))) == [wanted.text])
        #expect(try ids(try await jobs("list", "--json", "--queue", "default")).count == 1)
        #expect(try ids(try await jobs("list", "--json", "--newer-than", "1h")).count == 1)
        #expect(try ids(try await jobs("list", "--json", "--status", "pending", "--status", "failed")).count == 6)
    }

    @Test func `show prints every column of the table`() async throws {
        let id = try await database.insertJob(status: .processing, payload: "{\"n\": 1.10}")
        let run = try await jobs("show", id.text, "--json")
        let columns = try await database.query(
            "SELECT column_name::text AS name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'jobs'"
        )
        let shown = try #require(try run.json()["job"]?.object)
        for column in columns { #expect(shown[try column.decode("name")] != nil, "\(column.texts)") }
        #expect(run.output.contains("{\"n\": 1.10}"))
    }

    @Test func `what a job's text holds can't steer the terminal`() async throws {
        let id = try await database.insertJob(
            "a\u{1B}[2Jb", status: .failed, errorMessage: "x\u{1B}]0;evil\u{7}\u{9B}2J")
        try await database.query(
            "INSERT INTO public.job_logs (job_id, log_level, message) VALUES (\(id), 'info', \("l\u{1B}[31m"))")
        for arguments in [["list"], ["show", id.text], ["logs", id.text], ["wait", id.text], ["watch", id.text]] {
            let run = try await CommandRun.of(arguments: ["jobs"] + arguments, database: database)
            let scalars = (run.output + run.error).unicodeScalars
            #expect(!scalars.contains { $0 == "\u{1B}" || $0 == "\u{9B}" || $0 == "\u{7}" })
        }
    }

    @Test func `a log comes oldest first, from a level on`() async throws {
        let id = try await database.insertJob()
        for level in ["debug", "info", "warn", "warning", "error"] {
            try await database.query(
                "INSERT INTO public.job_logs (job_id, log_level, message) VALUES (\(id), \(level), \(level))")
        }
        let all = try await jobs("logs", id.text, "--json").json()["logs"]?.array?.compactMap { $0["message"]?.string }
        #expect(all == ["debug", "info", "warn", "warning", "error"])
        let some = try await jobs("logs", id.text, "--level", "warn", "--tail", "2", "--json").json()["logs"]?.array
        #expect(some?.compactMap { $0["message"]?.string } == ["warning", "error"])
    }

    @Test func `following a log ends with the job and misses nothing`() async throws {
        let id = try await database.insertJob(status: .processing)
        async let following = jobs("logs", id.text, "--follow", "--json")
        for number in 0..<20 {
            try await database.query(
                "INSERT INTO public.job_logs (job_id, log_level, message) VALUES (\(id), 'info', \("\(number)"))")
            try await Task.sleep(for: .milliseconds(40))
        }
        try await database.query(
            """
            WITH last AS (INSERT INTO public.job_logs (job_id, log_level, message) VALUES (\(id), 'info', 'last'))
            UPDATE public.jobs SET status = 'completed', completed_at = now(), lease_open = false WHERE id = \(id)
            """)
        let run = try await following
        let messages = try run.lines.map { try JSONText(String($0)).decode(JSONValue.self)["message"]?.string }
        #expect(run.status == 0 && messages == (0..<20).map { "\($0)" } + ["last"])
        #expect(run.error.hasPrefix("completed"))
    }

    @Test func `a watch prints what changes and ends with the job`() async throws {
        let id = try await database.insertJob()
        async let watching = jobs("watch", id.text, "--interval", "100ms", "--json")
        // It has looked several times: before the first look that it prints it may look for other reasons.
        for _ in 0..<4 {
            let now: String = try #require(try await database.value("SELECT clock_timestamp()::text"))
            try await database.waitUntil(
                """
                application_name = 'jobworker command' AND datname = current_database() AND state = 'idle'
                AND query LIKE '/* jobworker:jobs.by_id */%' AND query_start > '\(now)'
                """, of: "pg_stat_activity")
        }
        try await database.query("UPDATE public.jobs SET status = 'cancelled', completed_at = now() WHERE id = \(id)")
        let states = try await watching.lines.map { try JSONText(String($0)).decode(JSONValue.self)["status"]?.string }
        #expect(states == ["pending", "cancelled"])
    }

    @Test func `a wait that takes too long is 1`() async throws {
        let id = try await database.insertJob()
        let run = try await jobs("wait", id.text, "--timeout", "200ms")
        #expect(run.status == 1 && run.error.contains("has not ended in time"))
        let done = try await database.insertJob(status: .completed)
        #expect(try await jobs("wait", done.text).status == 0)
    }
}
