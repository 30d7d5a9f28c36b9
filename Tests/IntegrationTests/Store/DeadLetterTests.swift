import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Dead letters as the database keeps them, whoever moves a job.
@Suite(.database(), .timeLimit(.minutes(5))) struct DeadLetterTests {
    let database = TestDatabase.current

    private var store: JobStore { JobStore(pool: database.workerPool) }

    private func letters(_ condition: String = "true") async throws -> Int {
        try await database.count(condition, of: "public.dead_letter_queue")
    }

    @Test func `whoever moves a job, its dead letter is written and settled in the same transaction`() async throws {
        let id = try await database.insertJob(status: .failed, errorMessage: "no such host")
        try await database.query("UPDATE public.jobs SET status = 'dead_letter' WHERE id = \(id)")
        #expect(
            try await letters("status = 'pending' AND error_message = 'no such host' AND job_id = '\(id.text)'") == 1)
        try await database.query("UPDATE public.jobs SET status = 'pending' WHERE id = \(id)")
        #expect(try await letters("status = 'resolved' AND resolved_at IS NOT NULL") == 1)
        let gone = try await database.insertJob(status: .failed)
        _ = try await store.setAside(gone, by: Requester(actor: "operator:ann", via: .cli))
        _ = try await store.delete(gone, by: Requester(actor: "operator:ann", via: .cli, reason: "the account is gone"))
        #expect(
            try await letters(
                """
                status = 'ignored' AND resolved_by_name = 'operator:ann' AND resolution_notes = 'the account is gone'
                """) == 1)
        #expect(try await letters() == 2)
    }

    @Test func `a queue's option sets aside what has failed for good, and nothing else`() async throws {
        var rules = QueueRules()
        rules.deadLetter = true
        try await store.setRules(rules, queue: "mail", by: Requester(actor: "operator:ann", via: .cli))
        let processor = ScriptedProcessor("noop") { _, _ in throw JobFailure.permanent("broken 17") }
        let aside = try await database.insertJob(queue: "mail")
        let kept = try await database.insertJob()
        try await database.withWorker(processor) {
            $0.queues = [.init(name: "*")]
        } _: { _ in
            try await database.waitUntil("status = 'dead_letter'")
            try await database.waitUntil("status = 'failed'")
        }
        #expect(try await database.job(aside).status == "dead_letter")
        #expect(try await database.job(kept).status == "failed")
        #expect(try await letters("job_id = '\(aside.text)' AND error_message = 'broken 17'") == 1)
        #expect(try await database.count("action = 'queue.set' AND subject = 'mail'", of: "public.job_audit") == 1)
        #expect(try await database.logs(of: aside).contains { $0.message.hasPrefix("Set aside as a dead letter") })
    }

    @Test(arguments: [
        ("job 17 of 90 failed", "job # of # failed"),
        ("no row 6f1c2d9e-0a4b-4c1d-9f2e-0123456789ab", "no row <id>"),
        ("can't read \"Ann's file\" now", "can't read <text> now"),
        ("connection to db-7.example.com:5432 refused", "connection to <host> refused"),
        ("GET https://api.example.com/v1?id=5 answered 503", "GET <host> answered #"),
        ("ann@example.com   is unknown", "<host> is unknown"), ("", ""),
    ])
    func `what differs from job to job is masked in an error`(error: String, pattern: String) async throws {
        #expect(try await database.value("SELECT jobworker.error_pattern(\(error))", as: String.self) == pattern)
    }

    @Test func `a hundred thousand failed jobs are grouped by their errors, and one group is read by its index`()
        async throws
    {
        // In parts, as each has a time limit, and the machine may be busy.
        for last in stride(from: 10_000, through: 100_000, by: 10_000) {
            try await database.query(
                """
                INSERT INTO public.jobs (workspace_id, job_type, payload, status, error_message, failed_at, created_at)
                SELECT \(TestDatabase.workspace), 'noop', '{}', CASE WHEN n % 4 = 0 THEN 'dead_letter' ELSE 'failed' END,
                       CASE WHEN n % 50 = 0 THEN 'account ' || n || ' is gone' ELSE 'answered ' || n || ' by host-' || n END,
                       now() - n * interval '1 second', now() - n * interval '1 second'
                FROM generate_series(\(last - 9_999)::int, \(last)::int) AS n
                """)
        }
        try await database.query("ANALYZE public.jobs")
        var filter = JobFilter()
        filter.statuses = [.failed, .deadLetter]
        let groups = try await store.errorGroups(filter, limit: 10)
        #expect(groups.map(\.count) == [98_000, 2000])
        #expect(groups.map(\.pattern) == ["answered # by host-#", "account # is gone"])
        #expect(groups.map(\.deadLetters) == [24_000, 1000])
        filter.errorGroup = try #require(groups.last?.id)
        #expect(try await store.count(filter) == 2000)
        let plan = try await database.query(
            "EXPLAIN SELECT id FROM public.jobs WHERE \(filter.condition) ORDER BY failed_at DESC, id DESC LIMIT 50")
        #expect(plan.contains { $0.texts.contains { $0.text?.contains("jobs_error_group") ?? false } })
    }
}
