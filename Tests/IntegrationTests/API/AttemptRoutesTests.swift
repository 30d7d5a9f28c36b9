import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// What the other side of a running attempt may tell of it.
@Suite(.database()) struct AttemptRoutesTests {
    let database = TestDatabase.current

    private func token(_ job: UUID, lease: Int, seconds: Int = 60) throws -> String {
        try #require(APIUnderTest.attemptTokens).token(
            for: .init(jobID: job, lease: Int64(lease)), expiry: Int(Date().timeIntervalSince1970) + seconds)
    }

    private func running(lease: Int) async throws -> UUID {
        let id = UUID()
        try await database.run(
            """
            INSERT INTO public.jobs (id, workspace_id, job_type, payload, status, attempts, worker_id, lease_token, lease_open,
                                     started_at, worker_heartbeat_at)
            VALUES ('\(id)', '\(TestDatabase.workspace.text)', 'noop', '{}', 'processing', 1, 'w', \(lease), true,
                    clock_timestamp(), clock_timestamp())
            """)
        return id
    }

    @Test func `progress and log rows are taken with the attempt's own token, as long as the attempt lasts`()
        async throws
    {
        let (job, other) = (try await running(lease: 7), try await running(lease: 8))
        let database = database
        let own = try token(job, lease: 7)
        let strangers = [
            try token(other, lease: 8), try token(job, lease: 7, seconds: -1), own + "0", APIUnderTest.operatorToken,
            "",
        ]
        let earlier = try token(job, lease: 6)
        try await withAPI(on: database) { api in
            let progress = #"{"percentage": 40, "message": "half", "details": {"total": 7}}"#
            let path = "/api/jobs/\(job.text)"
            for stranger in strangers {
                #expect(
                    try await api.send("POST", "\(path)/progress", as: .bearer(stranger), body: progress).status == 401)
            }
            // An earlier attempt of the same job.
            #expect(try await api.send("POST", "\(path)/progress", as: .bearer(earlier), body: progress).status == 409)
            #expect(try await api.send("POST", "\(path)/progress", as: .bearer(own), body: progress).status == 200)
            #expect(
                try await database.count(
                    "id = '\(job)' AND progress @> '{\"percentage\": 40, \"message\": \"half\", \"total\": 7}'",
                    of: "public.jobs") == 1)
            let row = #"{"level": "warn", "message": "odd", "metadata": {"row": 4}}"#
            #expect(try await api.send("POST", "\(path)/log", as: .bearer(own), body: row).status == 200)
            #expect(
                try await database.count(
                    "job_id = '\(job)' AND log_level = 'warn' AND message = 'odd' AND metadata->>'row' = '4'",
                    of: "public.job_logs") == 1)

            try await database.run(
                """
                INSERT INTO public.job_logs (job_id, log_level, message)
                SELECT '\(job)', 'info', 'more' FROM generate_series(1, 1000)
                """)
            #expect(try await api.send("POST", "\(path)/log", as: .bearer(own), body: row).status == 429)
            try await database.run("UPDATE public.jobs SET lease_open = false WHERE id = '\(job)'")
            #expect(try await api.send("POST", "\(path)/log", as: .bearer(own), body: row).status == 409)
            #expect(try await api.send("POST", "\(path)/progress", as: .bearer(own), body: progress).status == 409)
        }
    }
}
