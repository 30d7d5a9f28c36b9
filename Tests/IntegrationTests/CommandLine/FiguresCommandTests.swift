import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct FiguresCommandTests {
    let database = TestDatabase.current

    @Test func `figures count what has happened within the hour and the day`() async throws {
        for seconds in [1, 2, 3, 400] {
            try await database.insertJob(
                status: .completed, startedAgo: .seconds(seconds + 60), finishedAgo: .seconds(60))
        }
        try await database.insertJob(status: .completed, startedAgo: .seconds(9000), finishedAgo: .seconds(8000))
        try await database.insertJob(status: .failed, finishedAgo: .seconds(60))
        try await database.insertJob(status: .deadLetter, finishedAgo: .seconds(7200))
        try await database.insertJob(createdAgo: .seconds(100))
        try await database.insertJob(queue: "imports", scheduledIn: .seconds(600))
        try await database.insertJob(status: .processing)
        let run = try await CommandRun.of("stats", "--json", database: database)
        let json = try run.json()
        #expect(json["queue_depth"] == 2 && json["processing"] == 1)
        #expect(json["completed_last_hour"] == 4 && json["failed_last_hour"] == 1)
        #expect(json["failed_last_day"] == 2 && json["slow_last_day"] == 2)
        #expect(json["average_duration_ms"]?.double == 101_500 && json["p50_duration_ms"]?.double == 2500)
        #expect(json["success_rate"]?.double == 0.8 && json["throughput_per_minute"]?.double == 0.1)
        #expect(json["statuses"]?["completed"] == 5)
        let queues = try #require(json["queues"]?.array)
        #expect(queues.map { $0["name"]?.string } == ["default", "imports"])
        #expect(
            queues[0]["due"] == 1 && queues[0]["processing"] == 1 && queues[1]["due"] == 0 && queues[1]["depth"] == 1)
        #expect((json["oldest_due_ms"]?.double ?? 0) >= 100_000)
        #expect(json["unserved"]?.array?.count == 2)
    }

    @Test func `figures of an empty database are zero`() async throws {
        let json = try await CommandRun.of("stats", "--json", database: database).json()
        #expect(json["queue_depth"] == 0 && json["success_rate"] == .null && json["average_duration_ms"] == .null)
        #expect(json["timestamp"]?.string?.hasSuffix("Z") == true)
        #expect(try await CommandRun.of("stats", database: database).status == 0)
    }

    @Test func `figures of a workspace leave out the others`() async throws {
        let other = try await database.insertWorkspace()
        try await database.insertJob(workspace: other)
        try await database.insertJob()
        let json = try await CommandRun.of("stats", "--workspace", other.text, "--json", database: database).json()
        #expect(json["queue_depth"] == 1)
    }

    @Test func `a worker is alive while it is heard of`() async throws {
        try await database.run(
            """
            INSERT INTO public.job_workers (id, instance, host, queues, job_types, seen_at, stopped_at) VALUES
                ('a', 'x', 'h', '{*}', '{noop}', now(), NULL), ('b', 'x', 'h', '{}', '{}', now() - interval '1 h', NULL),
                ('c', 'x', 'h', '{}', '{}', now(), now())
            """)
        try await database.insertJob(queue: "anything")
        let json = try await CommandRun.of("workers", "list", "--json", database: database).json()
        let states = json["workers"]?.array?.map { "\($0["id"]?.string ?? "") \($0["state"]?.string ?? "")" }
        #expect(states == ["a alive", "b silent", "c stopped"])
        #expect(try await CommandRun.of("stats", "--json", database: database).json()["unserved"]?.array == [])
    }

    @Test func `a paused queue says since when and by whom`() async throws {
        try await database.run(
            "INSERT INTO public.job_queues (name, paused_at, paused_by) VALUES ('imports', now() - interval '3 min', 'operator:alice')"
        )
        let run = try await CommandRun.of("queues", database: database)
        #expect(run.output.contains("paused 3 min ago by operator:alice"))
    }
}
