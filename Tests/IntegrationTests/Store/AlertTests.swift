import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing
import Webhooks

/// One alert for a situation over all workers, raised once and resolved once.
@Suite(.database(), .timeLimit(.minutes(10))) struct AlertTests {
    let database = TestDatabase.current

    /// A look whose turn it is.
    private func look(_ rules: AlertRules = AlertRules(), worker: String = "a") async throws -> [String] {
        try await database.run(
            "UPDATE jobworker.alert_looks SET looked_at = clock_timestamp() - interval '20 seconds'")
        let changes = try #require(
            try await database.store().lookForAlerts(rules, silence: .seconds(120), workerID: worker))
        return changes.map { "\($0.isResolved ? "resolved" : "raised") \($0.alert.rule) \($0.alert.subject)" }.sorted()
    }

    /// As if somebody had been looking for a day.
    private func watchForLong() async throws {
        try await database.run(
            """
            UPDATE jobworker.alert_looks
            SET watching_since = clock_timestamp() - interval '1 day', looked_at = clock_timestamp() - interval '1 second'
            """)
    }

    @Test func `a dead letter raises an alert for its type, which ends when all are settled or an hour has passed`()
        async throws
    {
        #expect(try await look() == [])
        let first = try await database.insertJob("mail", status: .failed)
        let second = try await database.insertJob("mail", status: .failed)
        try await database.query("UPDATE public.jobs SET status = 'dead_letter' WHERE id = \(first)")
        #expect(try await look(AlertRules(deadLetters: 0)) == [])
        #expect(try await look(AlertRules(deadLetters: 2)) == [])
        #expect(try await look() == ["raised dead_letter mail"])
        try await database.query("UPDATE public.jobs SET status = 'dead_letter' WHERE id = \(second)")
        #expect(try await look() == [])
        let alert = try #require(try await database.store().alerts(withEnded: false, limit: 10).first)
        #expect(alert.value == 2 && alert.message == "2 jobs of the type mail were set aside in the last hour")
        try await database.query("SELECT jobworker.retry_job(\(first))")
        #expect(try await look() == [])
        try await database.run(
            "UPDATE public.dead_letter_queue SET added_at = added_at - interval '61 minutes'")
        #expect(try await look(worker: "b") == ["resolved dead_letter mail"])
        #expect(try await database.store().alerts(withEnded: false, limit: 10) == [])
        let ended = try #require(try await database.store().alerts(withEnded: true, limit: 10).first)
        #expect(ended.raisedBy == "a" && ended.resolvedBy == "b" && ended.endedAt != nil)
    }

    @Test func `a queue with so many due jobs raises an alert that stays until a fifth is gone`() async throws {
        let rules = AlertRules(queueDepth: 10)
        for priority in [-10, 0, 10] {
            for _ in 0..<3 { try await database.insertJob(queue: "deep", priority: priority) }
        }
        // Neither of these is due in this queue.
        try await database.insertJob(queue: "deep", scheduledIn: .seconds(600))
        try await database.insertJob(queue: "other")
        try await database.insertJob(workspace: nil, queue: "deep")
        #expect(try await look(rules) == [])
        try await database.insertJob(queue: "deep", priority: nil)
        #expect(try await look(rules) == ["raised queue_depth deep"])
        func take(_ count: Int) async throws {
            try await database.query(
                """
                UPDATE public.jobs SET status = 'completed' WHERE id IN (
                    SELECT id FROM public.jobs WHERE status = 'pending' AND job_queue = 'deep'
                      AND workspace_id IS NOT NULL AND scheduled_for IS NULL LIMIT \(count))
                """)
        }
        try await take(2)
        #expect(try await look(rules) == [])
        try await take(1)
        #expect(try await look(rules) == ["resolved queue_depth deep"])
    }

    @Test func `a queue in which nothing is completed raises an alert, unless it is paused or nobody was looking`()
        async throws
    {
        let rules = AlertRules(stalledAfter: .seconds(300))
        let job = try await database.insertJob(queue: "slow", createdAgo: .seconds(400))
        // Nobody has been looking for long enough to know.
        #expect(try await look(rules) == [])
        try await watchForLong()
        try await database.store().noteProgress(in: ["slow"])
        #expect(try await look(rules) == [])
        try await database.run(
            "UPDATE jobworker.queue_progress SET completed_at = completed_at - interval '310 seconds'")
        try await database.run("INSERT INTO public.job_queues (name, paused_at) VALUES ('slow', now())")
        #expect(try await look(rules) == [])
        // The time begins anew once it goes on.
        try await database.run("UPDATE public.job_queues SET paused_at = NULL")
        #expect(try await look(rules) == [])
        try await database.run("DELETE FROM public.job_queues")
        #expect(try await look(AlertRules(stalledAfter: .zero)) == [])
        #expect(try await look(rules) == ["raised stalled slow"])
        try await database.store().noteProgress(in: ["slow"])
        #expect(try await look(rules) == ["resolved stalled slow"])
        // A break in looking, as during an outage, is nobody's fault.
        try await database.run(
            "UPDATE jobworker.queue_progress SET completed_at = completed_at - interval '310 seconds'")
        try await database.run(
            "UPDATE jobworker.alert_looks SET looked_at = clock_timestamp() - interval '10 minutes'")
        #expect(
            try await database.store().lookForAlerts(rules, silence: .seconds(120), workerID: "a") == [])
        try await database.query("UPDATE public.jobs SET status = 'completed' WHERE id = \(job)")
        #expect(try await look(rules) == [])
    }

    @Test func `a worker that falls silent raises an alert until its place is taken; one that says good-bye doesn't`()
        async throws
    {
        try await watchForLong()
        func worker(_ id: String, _ instance: String, seen: Int, isStopped: Bool = false) async throws {
            try await database.query(
                """
                INSERT INTO public.job_workers (id, instance, host, seen_at, stopped_at, running)
                VALUES (\(id), \(instance), 'h', clock_timestamp() - make_interval(secs => \(seen)),
                        CASE WHEN \(isStopped) THEN clock_timestamp() END, 3)
                """)
        }
        try await worker("alive", "one", seen: 10)
        try await worker("gone", "two", seen: 200, isStopped: true)
        #expect(try await look() == [])
        try await worker("dead", "three", seen: 130)
        #expect(try await look(AlertRules(tellsLostWorkers: false)) == [])
        #expect(try await look() == ["raised worker_lost three@h"])
        let alert = try #require(try await database.store().alerts(withEnded: false, limit: 10).first)
        #expect(alert.message == "the worker dead fell silent while it ran 3 jobs")
        try await worker("next", "three", seen: 1)
        #expect(try await look() == ["resolved worker_lost three@h"])
    }

    @Test func `sixteen workers that look at once raise one alert, and write its events once`() async throws {
        try await watchForLong()
        let scene = try WebhookScene(database)
        let all = try await scene.endpoint("https://example.com/all", workspace: nil)
        let ends = try await scene.endpoint("https://example.com/ends", events: ["alert.resolved"], workspace: nil)
        // A workspace's endpoint hears nothing of them.
        let own = try await scene.endpoint("https://example.com/own")
        try await database.insertJob(queue: "slow", createdAgo: .seconds(4000))
        let rules = AlertRules(interval: .milliseconds(1))
        var changed = 0
        let store = database.store()
        for round in 0..<4 {
            if round == 2 { try await database.run("UPDATE public.jobs SET status = 'completed'") }
            changed += try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<16 {
                    group.addTask {
                        try await store.lookForAlerts(rules, silence: .seconds(120), workerID: "w\(number)")?.count ?? 0
                    }
                }
                return try await group.reduce(0, +)
            }
        }
        #expect(changed == 2)
        #expect(try await database.count("true", of: "public.job_alerts") == 1)
        #expect(try await scene.deliveries("endpoint_id = '\(all)' AND event = 'alert.raised'") == 1)
        #expect(try await scene.deliveries("endpoint_id = '\(all)' AND event = 'alert.resolved'") == 1)
        #expect(try await scene.deliveries("endpoint_id = '\(ends)'") == 1)
        #expect(try await scene.deliveries("endpoint_id = '\(own)' AND event LIKE 'alert.%'") == 0)
    }

    @Test func `who comes too early doesn't look`() async throws {
        let store = database.store()
        _ = try await look()
        #expect(try await store.lookForAlerts(AlertRules(), silence: .seconds(120), workerID: "a") == nil)
        #expect(
            try await store.poll(.test(), presence: .test(), reaping: .test(), alertInterval: .seconds(15))
                .isAlertLookDue == false)
        try await database.run("UPDATE jobworker.alert_looks SET looked_at = clock_timestamp() - interval '16 seconds'")
        #expect(
            try await store.poll(.test(), presence: .test(), reaping: .test(), alertInterval: .seconds(15))
                .isAlertLookDue)
    }

    @Test func `what ended more than 90 days ago goes`() async throws {
        try await database.run(
            """
            INSERT INTO public.job_alerts (rule, subject, message, value, threshold, since, ended_at, raised_by, resolved_by)
            SELECT 'stalled', 'q' || days, 'x', 1, 1, now() - make_interval(days => days + 1), now() - make_interval(days => days),
                   'a', 'a' FROM unnest(ARRAY[89, 91]) AS days
            """)
        _ = try await look()
        #expect(try await database.store().alerts(withEnded: true, limit: 10).map(\.subject) == ["q89"])
    }

    @Test func `a worker raises, tells operators' webhooks signed, and resolves; its health says so meanwhile`()
        async throws
    {
        let scene = try WebhookScene(database)
        let mailbox = Mailbox()
        try await withScriptedServer(reply: { letter in
            mailbox.put(letter)
            return .answer("thanks")
        }) { server in
            try await scene.endpoint(server.url(), workspace: nil)
            try await raiseAndResolve(scene, mailbox)
        }
    }

    private func raiseAndResolve(_ scene: WebhookScene, _ mailbox: Mailbox) async throws {
        let job = try await database.insertJob("unserved", status: .failed)
        try await database.query("UPDATE public.jobs SET status = 'dead_letter' WHERE id = \(job)")
        try await scene.withSender(change: {
            $0.pollInterval = .milliseconds(100)
            $0.alerts = AlertRules(interval: .seconds(1))
        }) { worker in
            try await scene.until("event = 'alert.raised' AND status = 'delivered'")
            let letter = try #require(mailbox.all.first)
            let id = try #require(letter.header("webhook-id"))
            let timestamp = try #require(letter.header("webhook-timestamp").flatMap { Int($0) })
            #expect(
                scene.secret.signature(id: id, timestamp: timestamp, body: letter.body)
                    == letter.header("webhook-signature"))
            let text = String(decoding: letter.body, as: UTF8.self)
            #expect(text.contains(#""type":"alert.raised""#) && text.contains(#""rule": "dead_letter""#))
            try await eventually("its health names the alert") { worker.state.snapshot.openAlerts == ["dead_letter"] }
            try await database.query("SELECT jobworker.retry_job(\(job))")
            try await scene.until("event = 'alert.resolved' AND status = 'delivered'")
            try await eventually("its health is well again") { worker.state.snapshot.openAlerts == [] }
        }
    }

    @Test func `a worker tells in which queues it completes jobs`() async throws {
        try await database.insertJob(queue: "mail")
        try await database.withWorker(
            ScriptedProcessor("noop"),
            change: {
                $0.pollInterval = .milliseconds(100)
                $0.queues = [.init(name: "*")]
            }
        ) { _ in
            try await eventually("it told") {
                try await database.count("queue = 'mail'", of: "jobworker.queue_progress") == 1
            }
        }
    }
}
