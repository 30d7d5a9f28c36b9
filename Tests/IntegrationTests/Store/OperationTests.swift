import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Changes of many jobs that outlive the command that asked for them.
@Suite(.database(), .timeLimit(.minutes(5))) struct OperationTests {
    let database = TestDatabase.current

    private var store: JobStore { JobStore(pool: database.workerPool) }
    private let ann = Requester(actor: "operator:ann", via: .cli, reason: "the host is back")

    private func fail(_ count: Int, key: String? = nil) async throws {
        for number in 0..<count {
            try await database.insertJob(
                status: .failed, payload: "{\"n\":\(number)}", uniqueKey: key, errorMessage: "broken")
        }
    }

    private func begin(
        _ action: Operation.Action, _ change: (inout OperationPlan) -> Void = { _ in }
    ) async throws -> Operation {
        var plan = OperationPlan()
        change(&plan)
        return try await store.start(action, where: "jobs.status = 'failed'", plan, by: ann)
    }

    private func now(_ operation: Operation) async throws -> Operation {
        try #require(try await store.operation(operation.id))
    }

    /// Steps until it is over or stopped.
    private func finish(_ operation: Operation) async throws -> Operation {
        for _ in 0..<1000 {
            let state = try await now(operation)
            if state.state != "running" { return state }
            try await store.stepOperations()
        }
        return try await now(operation)
    }

    @Test func `a retry that clashes with a unique key is skipped and reported`() async throws {
        try await fail(3, key: "once")
        let done = try await finish(try await begin(.retry))
        #expect(done.state == "done" && done.changed == 1 && done.skipped == 2)
        let skipped = try await store.skipped(by: done.id)
        #expect(
            skipped.count == 2 && skipped.allSatisfy { $0.note.contains("another job with its unique key is active") })
        #expect(
            try await database.count(
                "action = 'job.retry' AND actor = 'operator:ann' AND via = 'cli' AND reason = 'the host is back'",
                of: "public.job_audit") == 1)
    }

    @Test func `an operation that somebody has just stepped is left alone by workers that step it, too`() async throws {
        try await fail(200)
        let operation = try await begin(.retry)
        // Its begin counts as a step.
        let first = try await store.stepOperations(after: .seconds(3600))
        #expect(first == OperationStep(isTaken: false, hasMore: true))
        try await database.run("UPDATE public.job_operations SET stepped_at = now() - interval '2 hours'")
        let second = try await store.stepOperations(after: .seconds(3600))
        #expect(second == OperationStep(isTaken: true, hasMore: true))
        let third = try await store.stepOperations(after: .seconds(3600))
        #expect(third == OperationStep(isTaken: false, hasMore: true))
        #expect(try await now(operation).taken == 50)
        #expect(try await finish(operation).state == "done")
        #expect(try await store.stepOperations() == OperationStep(isTaken: false, hasMore: false))
    }

    @Test func `a replay names the old job, and its payload is changed`() async throws {
        try await fail(60)
        let done = try await finish(
            try await begin(.replay) {
                $0.changes = [
                    .init(path: ["to", "region"], value: JSONText("\"eu\"")), .init(path: ["n"], value: JSONText("7")),
                ]
            })
        #expect(done.changed == 60)
        #expect(
            try await database.count("replay_of IS NOT NULL AND payload = '{\"n\":7,\"to\":{\"region\":\"eu\"}}'") == 60
        )
        #expect(try await database.count("status = 'failed' AND payload ->> 'to' IS NULL") == 60)
    }

    @Test func `several workers at once carry each job out once`() async throws {
        try await fail(300)
        let operation = try await begin(.replay)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                let store = JobStore(pool: ConnectionPool(database.workerSettings, limit: 1))
                group.addTask {
                    while try await store.operation(operation.id)?.state == "running" {
                        try await store.stepOperations()
                    }
                    await store.pool.close()
                }
            }
            try await group.waitForAll()
        }
        #expect(try await now(operation).changed == 300)
        #expect(try await database.value("SELECT count(DISTINCT replay_of) FROM public.jobs", as: Int.self) == 300)
        #expect(try await database.count("replay_of IS NOT NULL") == 300)
    }

    @Test func `a rate holds, whoever steps and how often`() async throws {
        try await fail(40)
        let operation = try await begin(.retry) { $0.rate = 20 }
        while try await now(operation).state == "running" { try await store.stepOperations() }
        // Forty at twenty a second take two, by the clock that counts them.
        #expect(
            try await database.count(
                "extract(epoch FROM ended_at - created_at) >= 1.999", of: "public.job_operations") == 1)
        #expect(try await now(operation).changed == 40)
    }

    @Test func `a canary that fails stops the rest, and a resume goes on with it`() async throws {
        try await fail(20)
        let operation = try await begin(.replay) { $0.canary = 4 }
        for _ in 0..<5 { try await store.stepOperations() }
        #expect(try await now(operation).changed == 4)
        try await database.query(
            "UPDATE public.jobs SET status = 'completed' WHERE id IN (SELECT id FROM public.jobs WHERE replay_of IS NOT NULL LIMIT 3)"
        )
        try await store.stepOperations()
        #expect(try await now(operation).state == "running")
        try await database.query(
            "UPDATE public.jobs SET status = 'failed' WHERE replay_of IS NOT NULL AND status = 'pending'")
        try await store.stepOperations()
        let stopped = try await now(operation)
        #expect(stopped.state == "stopped" && stopped.stateReason == "1 of the first 4 jobs failed")
        #expect(stopped.changed == 4)
        _ = try await store.control(operation.id, "resume", by: ann)
        for _ in 0..<3 { try await store.stepOperations() }
        #expect(try await now(operation).changed == 20)
    }

    @Test func `a canary that goes well lets the rest follow`() async throws {
        try await fail(20)
        let operation = try await begin(.replay) { $0.canary = 4 }
        try await store.stepOperations()
        try await database.query("UPDATE public.jobs SET status = 'completed' WHERE replay_of IS NOT NULL")
        for _ in 0..<3 { try await store.stepOperations() }
        #expect(try await now(operation).changed == 20)
        try await database.query("UPDATE public.jobs SET status = 'completed' WHERE replay_of IS NOT NULL")
        #expect(try await finish(operation).state == "done")
    }

    @Test func `too many failures stop an operation`() async throws {
        try await fail(100)
        let operation = try await begin(.replay) { $0.stopOnErrors = 30 }
        try await store.stepOperations()
        try await database.query(
            """
            UPDATE public.jobs SET status = CASE WHEN (payload ->> 'n')::int % 2 = 0 THEN 'completed' ELSE 'failed' END
            WHERE replay_of IS NOT NULL
            """)
        try await store.stepOperations()
        let stopped = try await now(operation)
        #expect(stopped.state == "stopped" && stopped.changed == 50 && stopped.failed == 25)
        #expect(try await database.count("action = 'operation.stop'", of: "public.job_audit") == 1)
    }

    @Test func `what is paused rests, and what is aborted never goes on`() async throws {
        try await fail(10)
        let operation = try await begin(.retry) { $0.rate = 1 }
        _ = try await store.control(operation.id, "pause", by: ann)
        try await store.stepOperations()
        #expect(try await now(operation).taken == 0)
        await #expect(throws: JobChangeRefusal.self) { try await store.control(operation.id, "pause", by: ann) }
        _ = try await store.control(operation.id, "abort", by: ann)
        await #expect(throws: JobChangeRefusal.self) { try await store.control(operation.id, "resume", by: ann) }
        #expect(try await database.count("action LIKE 'operation.%'", of: "public.job_audit") == 3)
    }

    @Test func `a worker carries an operation out although nobody asks again`() async throws {
        try await fail(120)
        try await database.withWorker(ScriptedProcessor("noop")) { _ in
            let operation = try await begin(.retry)
            try await database.waitUntil("state = 'done'", of: "public.job_operations")
            #expect(try await now(operation).changed == 120)
            try await database.waitUntil("status = 'completed'")
        }
    }

    @Test func `a member begins and steers operations as an admin of the one workspace, and loses that with the role`()
        async throws
    {
        try await fail(3)
        let member = try await database.insertMember()
        let admin = try await database.insertMember(role: "admin")
        let stranger = try await database.insertUser()
        for user in [member, stranger] {
            #expect(
                try await TestDatabase.refusal {
                    try await database.asUser(user) { connection in
                        try JobStore.start(.retry, where: "jobs.status = 'failed'", OperationPlan(), connection)
                    }
                } == "42501")
        }
        let operation = try await database.asUser(admin) { connection in
            try JobStore.start(.retry, where: "jobs.status = 'failed'", OperationPlan(), connection)
        }
        #expect(operation.workspaceID == TestDatabase.workspace && operation.actor == "user:\(admin.text)")
        let id = operation.id
        for (user, count) in [(admin, 1), (member, 0), (stranger, 0)] {
            let seen = try await database.asUser(user) { connection in
                try connection.execute("SELECT FROM public.job_operations").count
            }
            #expect(seen == count)
        }
        #expect(
            try await TestDatabase.refusal {
                try await database.asUser(member) { connection in
                    try connection.execute("SELECT FROM jobworker.control_operation(\(id), 'abort')")
                }
            } == "P0002")
        try await database.query("UPDATE public.workspace_members SET role = 'sdr' WHERE user_id = \(admin)")
        try await store.stepOperations()
        #expect(try await now(operation).state == "aborted")
        #expect(try await database.count("status = 'failed'") == 3)
    }
}
