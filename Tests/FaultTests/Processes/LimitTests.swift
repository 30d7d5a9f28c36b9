import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Limits hold over processes, by what their jobs themselves write down.
extension ProcessFaults {
    @Suite(.database()) struct LimitTests {
        let database = TestDatabase.current

        private func start(_ count: Int) async throws -> [RunningDaemon] {
            var daemons: [RunningDaemon] = []
            for number in 0..<count {
                daemons.append(
                    try await RunningDaemon.startQuick(
                        database, instance: "limit-\(number)", environment: ["WORKER_MAX_CONCURRENT": "1"]))
            }
            return daemons
        }

        /// Most runs between their first and their last row at one moment.
        private func mostAtOnce(_ condition: String = "true") async throws -> Int {
            try await database.value(
                """
                WITH runs AS (
                    SELECT min(at) AS began, max(at) AS ended FROM public.ledger
                    JOIN public.jobs ON jobs.id = ledger.job_id WHERE \(sql: condition) GROUP BY run
                )
                SELECT coalesce(max(n), 0)::int FROM (
                    SELECT (SELECT count(*) FROM runs AS other
                            WHERE other.began <= runs.began AND other.ended > runs.began) AS n FROM runs) AS counted
                """) ?? 0
        }

        @Test func `caps of a queue, a type and each workspace hold over four processes, one of which is killed`()
            async throws
        {
            try await database.makeLedger()
            try await database.run("INSERT INTO public.job_queues (name, max_running) VALUES ('narrow', 2)")
            try await database.run(
                """
                INSERT INTO public.job_limits (name, job_type, each_workspace, max_running)
                VALUES ('type', 'ledger', false, 5), ('workspace', NULL, true, 3)
                """)
            let other = try await database.insertWorkspace()
            for _ in 0..<30 {
                for (workspace, queue) in [
                    (TestDatabase.workspace, "default"), (TestDatabase.workspace, "narrow"), (other, "default"),
                ] {
                    try await database.insertJob(
                        "ledger", workspace: workspace, queue: queue, payload: #"{"seconds":0.06,"beat":0.02}"#)
                }
            }
            var daemons: [RunningDaemon] = []
            for number in 0..<4 {
                daemons.append(
                    try await RunningDaemon.startQuick(
                        database, instance: "limit-\(number)",
                        environment: ["WORKER_MAX_CONCURRENT": "4", "WORKER_QUEUES": "default,narrow"]))
            }
            try await database.waitUntil("event = 'done'", of: "public.ledger")
            try await daemons[0].die()
            try await database.waitUntilQuiet(atMost: .seconds(120))
            #expect(try await database.count("status = 'completed'") == 90)
            #expect((3...5).contains(try await mostAtOnce()))
            #expect(try await mostAtOnce("job_queue = 'narrow'") <= 2)
            for workspace in [TestDatabase.workspace, other] {
                #expect(try await mostAtOnce("workspace_id = '\(workspace.text)'") <= 3)
            }
            #expect(
                try await database.value("SELECT count(DISTINCT pid) >= 2 FROM public.ledger", as: Bool.self) == true)
            for daemon in daemons.dropFirst() { await daemon.stop() }
        }

        @Test func `a rate holds over four processes, in every stretch of time, and is used up`() async throws {
            try await database.run(
                "INSERT INTO public.job_limits (name, job_type, rate, period, burst) VALUES ('r', 'echo', 20, '1 s', 3)"
            )
            for _ in 0..<80 { try await database.insertJob("echo") }
            let daemons = try await start(4)
            try await database.waitUntilQuiet(atMost: .seconds(120))
            #expect(try await RateCheck(database: database).worst(rate: 20, burst: 3) <= 0)
            // 77 tokens take four seconds to come; they are not left lying.
            let took = try await database.value(
                "SELECT extract(epoch FROM max(started_at) - min(started_at))::float8 FROM public.jobs",
                as: Double.self)
            #expect((3.5...12).contains(try #require(took)))
            #expect(
                try await database.value("SELECT count(DISTINCT worker_id) >= 2 FROM public.jobs", as: Bool.self)
                    == true)
            for daemon in daemons { await daemon.stop() }
        }
    }
}
