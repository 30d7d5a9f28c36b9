import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct PollTests {
    let database = TestDatabase.current

    private func poll(running: Int = 0) async throws -> (claimed: Int, reaped: Int) {
        let answer = try await database.store().poll(.test(), presence: .test(running: running), reaping: .test())
        return (answer.claimed.count, answer.reaped)
    }

    @Test func `one look says that the worker lives, takes back, and claims`() async throws {
        try await database.insertJob()
        try await database.insertJob(status: .processing, heartbeatAge: .seconds(200))
        let answer = try await poll(running: 3)
        #expect(answer == (1, 1))
        #expect(try await database.count("id = 'test-worker' AND running = 3", of: "public.job_workers") == 1)
    }

    @Test func `with nothing to do it still brings the database's time`() async throws {
        let answer = try await database.store().poll(.test(), presence: .test(), reaping: .test())
        #expect(answer.claimed.isEmpty && answer.reaped == 0)
        #expect(try await database.value("SELECT \(answer.now) BETWEEN now() - interval '1 min' AND now()") == true)
    }

    @Test func `a worker that leaves is marked, and comes back with its next look`() async throws {
        _ = try await poll(running: 2)
        try await database.run(
            "INSERT INTO public.job_workers (id, instance, host, seen_at) VALUES ('old', 'a', 'h', now() - interval '2 days')"
        )
        try await database.store().leave(workerID: "test-worker")
        #expect(try await database.count("stopped_at IS NOT NULL AND running = 0", of: "public.job_workers") == 1)
        #expect(try await database.count("id = 'old'", of: "public.job_workers") == 0)
        _ = try await poll()
        #expect(try await database.count("stopped_at IS NULL", of: "public.job_workers") == 1)
    }
}
