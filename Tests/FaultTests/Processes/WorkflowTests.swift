import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Jobs that wait for each other, run by several processes.
extension ProcessFaults {
    @Suite(.database()) struct WorkflowTests {
        let database = TestDatabase.current

        @Test
        func `parents that end at the same moment in different processes let their child go once, with both results`()
            async throws
        {
            try await database.makeLedger()
            // Each has one place, so that a child's parents run in different processes.
            var daemons: [RunningDaemon] = []
            for number in 0..<4 {
                daemons.append(
                    try await RunningDaemon.startQuick(
                        database, instance: "workflow-\(number)", environment: ["WORKER_MAX_CONCURRENT": "1"]))
            }
            let brief = JSONText(#"{"seconds":0.03,"beat":0.03}"#)
            for number in 0..<30 {
                let arms = ["a", "b", "c", "d"].map { LinkedJob(name: $0, type: "ledger", payload: brief) }
                let join = LinkedJob(
                    name: "join", type: "echo", payload: JSONText(#"{"all":{"$result":"*"}}"#),
                    after: arms.compactMap(\.name))
                _ = try await database.store().addWorkflow(
                    LinkedJob.list(arms + [join]), named: "w\(number)", in: TestDatabase.workspace, by: nil)
            }
            try await eventually("all have ended", atMost: .seconds(120)) {
                try await database.count("status IN ('pending', 'blocked', 'processing')") == 0
            }
            #expect(try await database.count("workflow_step = 'join' AND status = 'completed' AND attempts = 1") == 30)
            let wrong = try await database.value(
                """
                SELECT count(*) FROM public.jobs AS child JOIN public.job_dependencies AS d ON d.job_id = child.id
                JOIN public.jobs AS parent ON parent.id = d.depends_on_job_id
                WHERE child.started_at < parent.completed_at
                   OR child.result -> 'all' -> parent.workflow_step IS DISTINCT FROM parent.result
                """, as: Int.self)
            #expect(wrong == 0)
            // It was what it says: in different processes, and within some milliseconds.
            let close = try await database.value(
                """
                SELECT count(*) FROM public.jobs AS one JOIN public.jobs AS other USING (workflow_id)
                WHERE one.workflow_step < other.workflow_step AND other.workflow_step <> 'join'
                  AND one.worker_id <> other.worker_id
                  AND abs(extract(epoch FROM one.completed_at - other.completed_at)) < 0.01
                """, as: Int.self)
            #expect(try #require(close) > 0)
            for daemon in daemons { await daemon.stop() }
        }
    }
}
