import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct JobLogTests {
    let database = TestDatabase.current

    /// The levels written over a retry, a success, a final failure and a lost worker.
    private func levels(_ lowest: JobLogLevel?) async throws -> [String] {
        let store = database.store(lifecycleLevel: lowest)
        for _ in 0..<3 { try await database.insertJob() }
        let claims = try await store.claim(.test()).map(\.claim)
        _ = try await store.settle([Settlement(claim: claims[0], kind: .retry, message: "x", delay: .seconds(60))])
        _ = try await store.settle([Settlement(claim: claims[1], kind: .fail, message: "x")])
        _ = try await store.complete([(claims[2], nil)])
        try await database.insertJob(status: .processing, heartbeatAge: .seconds(200))
        _ = try await store.reap(.test())
        return try await database.query("SELECT log_level FROM public.job_logs ORDER BY seq").map {
            try $0.decode("log_level")
        }
    }

    @Test(arguments: [
        (JobLogLevel?.some(.debug), ["debug", "debug", "debug", "warn", "error", "info", "warn"]),
        (.some(.info), ["warn", "error", "info", "warn"]), (.some(.warn), ["warn", "error", "warn"]),
        (.some(.error), ["error"]), (nil, []),
    ])
    func `rows below the chosen level aren't written`(lowest: JobLogLevel?, expected: [String]) async throws {
        #expect(try await levels(lowest) == expected)
    }

    @Test func `the rows name attempt and worker`() async throws {
        let store = database.store()
        let id = try await database.insertJob()
        let claim = try #require(try await store.claim(.test(workerID: "w7")).first).claim
        _ = try await store.complete([(claim, nil)])
        let rows = try await database.logs(of: id)
        #expect(rows.map(\.message).first == "Attempt 1 of 5 started")
        #expect(rows.last?.message.hasPrefix("Completed in ") == true)
        for row in rows { #expect(row.metadata == ["attempt": 1, "worker_id": "w7"]) }
    }
}
