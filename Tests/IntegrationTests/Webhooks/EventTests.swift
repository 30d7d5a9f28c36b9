import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Deliveries are written by the database, whoever changes a job.
@Suite(.database(), .timeLimit(.minutes(5))) struct EventTests {
    let database = TestDatabase.current

    private func events() async throws -> [String] {
        try await database.query("SELECT event FROM public.webhook_deliveries ORDER BY created_at, id")
            .map { try $0.decode("event", as: String.self) }
    }

    @Test func `each end of a job, and each attempt that fails before the last, is one event`() async throws {
        let scene = try WebhookScene(database)
        try await scene.endpoint("https://example.com/")
        let store = database.store()
        let completed = try await database.insertJob(status: .processing)
        _ = try await store.complete([(claim: try await database.claim(of: completed), result: nil)])
        let retried = try await database.insertJob(status: .processing)
        let failed = try await database.insertJob(status: .processing, attempts: 5)
        let released = try await database.insertJob(status: .processing)
        let snoozed = try await database.insertJob(status: .processing)
        func settle(_ job: UUID, _ kind: Settlement.Kind) async throws {
            _ = try await store.settle([
                Settlement(
                    claim: try await database.claim(of: job), kind: kind, message: "no", stack: nil,
                    delay: .seconds(60),
                    retryDelay: .seconds(60))
            ])
        }
        try await settle(retried, .retry)
        try await settle(failed, .retry)
        // Neither of these is a failure.
        try await settle(released, .release)
        try await settle(snoozed, .snooze)
        #expect(try await events() == ["job.completed", "job.retried", "job.failed"])
        try await database.query("UPDATE public.jobs SET status = 'dead_letter' WHERE id = \(failed)")
        #expect(try await events().last == "job.dead_letter")
        // A member, by plain SQL.
        let user = try await database.insertMember()
        try await database.asUser(user) { connection in
            _ = try connection.execute("UPDATE public.jobs SET status = 'cancelled' WHERE id = \(retried)")
        }
        #expect(try await events().count == 5)
        #expect(try await events().last == "job.cancelled")
        // Taken back from a worker that fell silent.
        try await database.insertJob(status: .processing, heartbeatAge: .seconds(600))
        _ = try await store.reap(
            ReapRequest(staleAfter: .seconds(60), jobTypes: ["noop"], retry: RetryPolicy()))
        #expect(try await events().last == "job.retried")
    }

    @Test func `endpoints get what they ask for, of their own workspace, while they are enabled`() async throws {
        let scene = try WebhookScene(database)
        let other = try await database.insertWorkspace()
        let all = try await scene.endpoint("https://example.com/all")
        let failures = try await scene.endpoint("https://example.com/failures", events: ["job.failed"])
        let mails = try await scene.endpoint("https://example.com/mails", jobTypes: ["mail"])
        try await scene.endpoint("https://example.com/other", workspace: other)
        let disabled = try await scene.endpoint("https://example.com/disabled")
        try await database.query("UPDATE public.webhook_endpoints SET enabled = false WHERE id = \(disabled)")
        try await database.insertJob("noop")
        try await database.insertJob("mail")
        try await database.query("UPDATE public.jobs SET status = 'completed'")
        try await database.query("UPDATE public.jobs SET status = 'failed' WHERE job_type = 'noop'")
        for (endpoint, count) in [(all, 3), (failures, 1), (mails, 1)] {
            #expect(try await scene.deliveries("endpoint_id = '\(endpoint)'") == count)
        }
        #expect(try await scene.deliveries() == 5)
    }

    @Test func `a change that is rolled back leaves no delivery`() async throws {
        let scene = try WebhookScene(database)
        try await scene.endpoint("https://example.com/")
        let job = try await database.insertJob()
        struct Stop: Error {}
        await #expect(throws: Stop.self) {
            try await database.pool.transaction { connection in
                try connection.execute("UPDATE public.jobs SET status = 'cancelled' WHERE id = \(job)")
                let rows = try connection.execute("SELECT FROM public.webhook_deliveries")
                #expect(rows.count == 1)
                throw Stop()
            }
        }
        #expect(try await scene.deliveries() == 0)
    }

    @Test func `completions and the reaper at the same moment write one row for each event`() async throws {
        let scene = try WebhookScene(database)
        try await scene.endpoint("https://example.com/")
        let store = database.store()
        var claims: [Claim] = []
        for _ in 0..<60 {
            let job = try await database.insertJob(status: .processing, heartbeatAge: .seconds(600))
            claims.append(try await database.claim(of: job))
        }
        let batch = claims
        await withTaskGroup(of: Void.self) { group in
            for claim in batch {
                group.addTask { _ = try? await store.complete([(claim: claim, result: nil)]) }
                group.addTask { _ = try? await store.exchange([(claim: claim, result: nil)], for: nil) }
            }
            for _ in 0..<10 {
                group.addTask {
                    _ = try? await store.reap(
                        ReapRequest(staleAfter: .seconds(60), jobTypes: ["noop"], retry: RetryPolicy()))
                }
            }
        }
        #expect(try await scene.deliveries() == 60)
        #expect(try await database.value("SELECT count(DISTINCT job_id) FROM public.webhook_deliveries") == 60)
        let completed = try await database.count("status = 'completed'")
        #expect(try await scene.deliveries("event = 'job.completed'") == completed)
    }

    @Test func `large values are left out, secrets are hidden, and nothing is told of claims and stacks`() async throws
    {
        let scene = try WebhookScene(database)
        try await scene.endpoint("https://example.com/")
        let deep = String(repeating: "[", count: 60) + "1" + String(repeating: "]", count: 60)
        try await database.insertJob(
            payload: #"{"user": {"API_KEY": "canary", "list": [{"password": 1}]}, "n": 1.50, "deep": \#(deep)}"#)
        try await database.insertJob(payload: "{\"large\": \"\(String(repeating: "é", count: 20_000))\"}")
        try await database.query(
            "UPDATE public.jobs SET status = 'failed', error_stack = 'secret place', error_message = 'no'")
        let texts = try await database.query(
            "SELECT payload::text AS text FROM public.webhook_deliveries ORDER BY length(payload::text) DESC"
        ).map { try $0.decode("text", as: String.self) }
        #expect(texts.count == 2)
        #expect(texts[0].contains(#""API_KEY": "(secret)""#) && texts[0].contains(#""password": "(secret)""#))
        #expect(texts[0].contains("1.50") && texts[0].contains("(left out)"))
        #expect(texts[1].contains(#""omitted": ["payload"]"#) && texts[1].contains(#""payload": null"#))
        for text in texts {
            for word in ["canary", "lease", "secret place", "worker_heartbeat"] { #expect(!text.contains(word)) }
            #expect(text.utf8.count < 60_000)
        }
    }

    @Test func `an endpoint that is being removed keeps no job from being stored`() async throws {
        let scene = try WebhookScene(database)
        let endpoint = try await scene.endpoint("https://example.com/")
        let job = try await database.insertJob(status: .processing)
        let claim = try await database.claim(of: job)
        let remover = ConnectionPool(database.settings(), limit: 1)
        let (isDeleted, mayEnd) = (Gate(), Gate())
        let removal = Task {
            // Held open by the server itself, until the gate is passed.
            try await remover.transaction { connection in
                try connection.execute("DELETE FROM public.webhook_endpoints WHERE id = \(endpoint)")
                isDeleted.open()
                while !mayEnd.isOpen { try connection.execute("SELECT pg_sleep(0.05)") }
            }
        }
        try await isDeleted.opened()
        // The deletion is still open.
        #expect(try await database.store().complete([(claim: claim, result: nil)]).count == 1)
        mayEnd.open()
        try await removal.value
        await remover.close()
        #expect(try await scene.deliveries() == 0)
    }

    @Test func `without endpoints nothing is written, and the sequence tells it`() async throws {
        let scene = try WebhookScene(database)
        func isInUse() async throws -> Bool {
            try await database.value(
                "SELECT pg_sequence_last_value('jobworker.webhooks_in_use') IS NOT NULL", as: Bool.self) ?? false
        }
        #expect(try await !isInUse())
        let endpoint = try await scene.endpoint("https://example.com/")
        #expect(try await isInUse())
        #expect(try await database.value("SELECT jobworker.rest_webhooks()") == false)
        try await database.query("DELETE FROM public.webhook_endpoints WHERE id = \(endpoint)")
        #expect(try await database.value("SELECT jobworker.rest_webhooks()") == true)
        #expect(try await !isInUse())
    }

    @Test(arguments: [
        "ftp://example.com/", "https://user:pass@example.com/", "https://user@example.com/", "https:///x", "/x",
        "https://example.com/a b", "javascript:alert(1)", "https://example.com\n/",
    ])
    func `URLs that nothing can be sent to are refused`(url: String) async throws {
        let scene = try WebhookScene(database)
        await #expect(throws: PostgresError.self) { try await scene.endpoint(url) }
    }

    @Test func `unknown events are refused`() async throws {
        let scene = try WebhookScene(database)
        await #expect(throws: PostgresError.self) {
            try await scene.endpoint("https://example.com/", events: ["job.exploded"])
        }
    }

    @Test func `settled deliveries are cleared away when they are old`() async throws {
        let scene = try WebhookScene(database)
        try await scene.endpoint("https://example.com/")
        for _ in 0..<5 { try await database.insertJob() }
        try await database.query("UPDATE public.jobs SET status = 'cancelled'")
        try await database.query("UPDATE public.webhook_deliveries SET created_at = now() - interval '40 days'")
        try await database.query(
            """
            UPDATE public.webhook_deliveries SET status = 'delivered', next_attempt_at = NULL
            WHERE id IN (SELECT id FROM public.webhook_deliveries LIMIT 3)
            """)
        let store = database.store()
        #expect(try await store.clearDeliveries(olderThan: .seconds(86_400 * 30), batch: 2) == 2)
        #expect(try await store.clearDeliveries(olderThan: .seconds(86_400 * 30), batch: 2) == 1)
        #expect(try await store.clearDeliveries(olderThan: .seconds(86_400 * 30), batch: 2) == 0)
        #expect(try await scene.deliveries("status = 'pending'") == 2)
    }
}
