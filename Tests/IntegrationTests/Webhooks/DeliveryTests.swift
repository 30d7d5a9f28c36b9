import FoundationEssentials
import HTTPClient
import JobWorker
import Postgres
import Support
import Synchronization
import Testing
import Webhooks

/// From a job's change to a receiver, with real servers.
@Suite(.database(), .timeLimit(.minutes(5))) struct DeliveryTests {
    let database = TestDatabase.current

    private static var guide: String {
        #filePath.split(separator: "/").dropLast(4).map { "/" + $0 }.joined() + "/docs/webhooks.md"
    }

    @Test func `the end of a job is told to its workspace's endpoint at once, signed as the specification says`()
        async throws
    {
        let scene = try WebhookScene(database)
        let mailbox = Mailbox()
        try await withScriptedServer(reply: { letter in
            mailbox.put(letter)
            return .answer("thanks")
        }) { server in
            try await scene.endpoint(server.url("/hook?a=b"))
            let job = try await scene.withSender(ScriptedProcessor("noop")) { _ in
                let job = try await database.insertJob(payload: #"{"a": 1, "api_key": "canary"}"#)
                try await scene.until("status = 'delivered'", atMost: .seconds(20))
                return job
            }
            let letter = try #require(mailbox.all.first)
            #expect(mailbox.all.count == 1)
            #expect(letter.method == "POST")
            #expect(letter.path == "/hook?a=b")
            #expect(letter.header("content-type") == "application/json")
            let id = try #require(letter.header("webhook-id"))
            #expect(try await scene.deliveries("id = '\(id)' AND attempts = 1 AND response_status = 200") == 1)
            let body = String(decoding: letter.body, as: UTF8.self)
            #expect(body.hasPrefix(#"{"type":"job.completed","timestamp":"20"#))
            #expect(body.contains(#""id": "\#(job.text)""#))
            #expect(!body.contains("canary"))
            // By another hand: that of the guide's receiver.
            let guide = try String(contentsOfFile: Self.guide, encoding: .utf8)
            let receiver = try #require(guide.split(separator: "```python\n").last?.split(separator: "```").first)
            let check = """
                import sys
                headers = dict(zip(("webhook-id", "webhook-timestamp", "webhook-signature"), sys.argv[2:5]))
                verify(sys.argv[1], headers, sys.argv[5].encode())
                try:
                    verify(sys.argv[1], headers, sys.argv[5].encode() + b" ")
                except ValueError as error:
                    print(error)
                """
            let signature = try #require(letter.header("webhook-signature"))
            let timestamp = try #require(letter.header("webhook-timestamp"))
            #expect(
                try await python(
                    receiver + "\n" + check, scene.secret.reveal(), id, timestamp, signature, body)
                    == "not signed with this secret")
        }
    }

    @Test func `a receiver that doesn't hear is tried again after five seconds, with the same id and words`()
        async throws
    {
        let scene = try WebhookScene(database)
        let mailbox = Mailbox()
        try await withScriptedServer(reply: { letter in
            mailbox.put(letter)
            return mailbox.all.count == 1 ? .answer("", status: 500) : .answer("")
        }) { server in
            try await scene.endpoint(server.url())
            try await scene.withSender(ScriptedProcessor("noop")) { _ in
                try await database.insertJob()
                try await scene.until("status = 'pending' AND attempts = 1 AND response_status = 500")
                #expect(
                    try await scene.deliveries(
                        "next_attempt_at - now() BETWEEN interval '3 s' AND interval '6.1 s' AND error LIKE '%500%'")
                        == 1)
                try await scene.until("status = 'delivered' AND attempts = 2 AND error IS NULL")
            }
            #expect(mailbox.all.count == 2 && mailbox.ids.count == 1)
            #expect(mailbox.all[0].body == mailbox.all[1].body)
            #expect(mailbox.all[0].header("webhook-signature") != mailbox.all[1].header("webhook-signature"))
        }
    }

    @Test func `receivers that hang keep nobody else waiting`() async throws {
        let scene = try WebhookScene(database)
        let (deaf, mailbox) = (Mailbox(), Mailbox())
        try await withScriptedServer(reply: { letter in
            deaf.put(letter)
            return .silence()
        }) { hanging in
            try await withScriptedServer(reply: { letter in
                mailbox.put(letter)
                return .answer("")
            }) { server in
                for number in 0..<10 { try await scene.endpoint(hanging.url("/\(number)")) }
                try await scene.endpoint(server.url())
                try await scene.withSender(ScriptedProcessor("noop")) { _ in
                    for _ in 0..<40 { try await database.insertJob(createdAgo: .zero) }
                    try await database.waitUntilQuiet()
                    try await scene.until("status = 'delivered'", count: 40, atMost: .seconds(8))
                }
            }
        }
        #expect(mailbox.ids.count == 40)
        // Four at once for each, none of which was answered meanwhile.
        #expect(deaf.all.count <= 40)
    }

    @Test func `redirects, long, lying and broken answers are judged by what they say of themselves`() async throws {
        let scene = try WebhookScene(database)
        let elsewhere = Mailbox()
        try await withScriptedServer(reply: { letter in
            elsewhere.put(letter)
            return .answer("")
        }) { other in
            let there = other.url()
            try await withScriptedServer(reply: { letter in
                switch letter.path {
                case "/redirect": .answer("", status: 302, headers: ["Location: \(there)"])
                case "/huge": .answer([UInt8](repeating: 0x61, count: 1 << 20))
                case "/endless":
                    .endless(
                        Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".utf8),
                        Array("1000\r\n\(String(repeating: "a", count: 0x1000))\r\n".utf8))
                case "/lying": .broken(Array("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort".utf8))
                case "/shut": .broken([])
                case "/interim": .bytes(Array("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n".utf8))
                default: .answer("", status: 410)
                }
            }) { server in
                var endpoints: [String: UUID] = [:]
                for path in ["/redirect", "/huge", "/endless", "/lying", "/shut", "/interim", "/gone"] {
                    endpoints[path] = try await scene.endpoint(server.url(path))
                }
                let job = try await database.insertJob()
                try await scene.withSender(ScriptedProcessor("noop")) { _ in
                    try await scene.until("attempts = 1 AND (status <> 'pending' OR error IS NOT NULL)", count: 7)
                }
                func expect(_ path: String, _ condition: String) async throws {
                    let id = try #require(endpoints[path])
                    #expect(
                        try await scene.deliveries("endpoint_id = '\(id)' AND job_id = '\(job)' AND \(condition)") == 1,
                        "\(path)")
                }
                try await expect("/redirect", "status = 'pending' AND response_status = 302")
                try await expect("/huge", "status = 'delivered' AND response_status = 200")
                try await expect("/endless", "status = 'delivered' AND response_status = 200")
                try await expect("/lying", "status = 'pending' AND response_status IS NULL")
                try await expect("/shut", "status = 'pending' AND response_status IS NULL")
                try await expect("/interim", "status = 'delivered' AND response_status = 204")
                try await expect("/gone", "status = 'failed' AND response_status = 410 AND next_attempt_at IS NULL")
                #expect(
                    try await database.count(
                        "NOT enabled AND disabled_reason LIKE '%410%' AND url LIKE '%/gone'",
                        of: "public.webhook_endpoints") == 1)
                #expect(
                    try await database.count(
                        "action = 'webhook.disable' AND via = 'worker' AND subject = '\(try #require(endpoints["/gone"]).text)'",
                        of: "public.job_audit") == 1)
            }
        }
        #expect(elsewhere.all.isEmpty)
    }

    @Test func `Retry-After is honoured`() async throws {
        let scene = try WebhookScene(database)
        try await withScriptedServer(reply: { _ in .answer("", status: 429, headers: ["Retry-After: 600"]) }) {
            server in
            try await scene.endpoint(server.url())
            try await scene.withSender(ScriptedProcessor("noop")) { _ in
                try await database.insertJob()
                try await scene.until("attempts = 1 AND next_attempt_at > now() + interval '590 s'")
            }
        }
    }

    @Test func `failures one after the other disable an endpoint, and what waits for it fails`() async throws {
        let scene = try WebhookScene(database)
        try await withScriptedServer(reply: { _ in .answer("", status: 503) }) { server in
            let endpoint = try await scene.endpoint(server.url())
            for _ in 0..<8 { try await database.insertJob() }
            // All of them are told of before the endpoint is disabled.
            try await database.query("UPDATE public.jobs SET status = 'cancelled'")
            try await scene.withSender(ScriptedProcessor("noop"), change: { $0.webhookFailuresMax = 3 }) { _ in
                try await database.waitUntil("NOT enabled", of: "public.webhook_endpoints")
                try await scene.until("status = 'failed'", count: 8)
            }
            #expect(
                try await database.count(
                    "disabled_reason LIKE '% tries failed, one after the other'", of: "public.webhook_endpoints") == 1)
            // Enabled again it begins anew.
            let store = database.store()
            let requester = Requester(actor: "operator:kim", via: .cli)
            #expect(try await store.setEnabled(true, webhook: endpoint, by: requester).consecutiveFailures == 0)
        }
    }

    @Test func `a delivery is given up after a day`() async throws {
        let scene = try WebhookScene(database)
        try await withScriptedServer(reply: { _ in .answer("", status: 503) }) { server in
            try await scene.endpoint(server.url())
            try await database.insertJob()
            try await database.query("UPDATE public.jobs SET status = 'cancelled'")
            try await database.query("UPDATE public.webhook_deliveries SET give_up_at = now() + interval '4 s'")
            try await scene.withSender(ScriptedProcessor("noop")) { _ in
                try await scene.until("status = 'failed' AND attempts = 1 AND response_status = 503")
            }
        }
    }

    @Test func `two workers deliver each event once`() async throws {
        let scene = try WebhookScene(database)
        let (mailbox, failed) = (Mailbox(), FailedTries())
        try await withScriptedServer(reply: { letter in
            mailbox.put(letter)
            return .answer("")
        }) { server in
            try await scene.endpoint(server.url())
            try await scene.withSender(ScriptedProcessor("noop"), counting: failed) { _ in
                try await scene.withSender(ScriptedProcessor("noop"), counting: failed) { _ in
                    for _ in 0..<100 { try await database.insertJob(createdAgo: .zero) }
                    try await scene.until("status = 'delivered'", count: 100)
                }
            }
        }
        #expect(mailbox.ids.count == 100)
        // None was sent but for the first time, or after a try that failed.
        let attempts: Int? = try await database.value("SELECT sum(attempts)::bigint FROM public.webhook_deliveries")
        #expect(attempts == 100 + failed.count)
        #expect(mailbox.all.count <= 100 + failed.count)
    }

    @Test func `of many workers that are told of each event a few look, and the others seldom`() async throws {
        let scene = try WebhookScene(database)
        // A claim changes deliveries, if only none.
        try await database.run(
            """
            CREATE SEQUENCE public.changes;
            CREATE FUNCTION public.count_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
            AS $$ BEGIN PERFORM nextval('public.changes'); RETURN NULL; END $$;
            CREATE TRIGGER counting BEFORE UPDATE ON public.webhook_deliveries FOR EACH STATEMENT
            EXECUTE FUNCTION public.count_change();
            """)
        let (workers, events) = (8, 60)
        try await withScriptedServer(reply: { _ in .answer("") }) { server in
            try await scene.endpoint(server.url())
            let senders = try (0..<workers).map { _ in try scene.sender(ScriptedProcessor("noop")) }
            let running = senders.map { worker in Task { try await worker.run() } }
            defer { for worker in senders { worker.hurry() } }
            try await database.waitUntilIdle(workers: workers)
            let began = ContinuousClock.now
            for number in 1...events {
                try await database.insertJob(createdAgo: .zero)
                try await scene.until("status = 'delivered'", count: number)
                // The pace of the events, not a wait for anything: who looked for this one may look for the next by then.
                try await Task.sleep(for: .milliseconds(50))
            }
            let seconds = (ContinuousClock.now - began).seconds
            for worker in senders { worker.hurry() }
            for task in running { try await task.value }
            let changes: Int = try #require(try await database.value("SELECT last_value FROM public.changes"))
            // Another change stores that it was sent. Who comes in vain looks again when 0.8 s have gone by.
            let looks = changes - events
            #expect(Double(looks) < Double(2 * events) + Double(workers) * (5 + seconds / 0.4))
        }
    }

    @Test func `what a worker was sending when it died is sent again by another`() async throws {
        let scene = try WebhookScene(database)
        let mailbox = Mailbox()
        let sent = Gate()
        try await withScriptedServer(reply: { letter in
            mailbox.put(letter)
            if mailbox.all.count > 1 { return .answer("") }
            sent.open()
            return .silence()
        }) { server in
            try await scene.endpoint(server.url())
            try await scene.withSender(ScriptedProcessor("noop")) { _ in
                try await database.insertJob()
                try await sent.opened()
                // It ends at once, as a process does that is killed: nothing is stored about the try.
            }
            #expect(try await scene.deliveries("status = 'pending' AND attempts = 1 AND next_attempt_at > now()") == 1)
            try await database.query("UPDATE public.webhook_deliveries SET next_attempt_at = now()")
            try await scene.withSender(ScriptedProcessor("noop")) { _ in
                try await scene.until("status = 'delivered' AND attempts = 2")
            }
        }
        #expect(mailbox.all.count == 2 && mailbox.ids.count == 1)
    }

    @Test func `an outcome that somebody's lock kept from being stored is stored after it, and not sent again`()
        async throws
    {
        let scene = try WebhookScene(database)
        try await scene.endpoint("https://example.com/")
        let holder = try await Connection.open(database.settings)
        let sender = LockingSender(holder: holder)
        let worker = try scene.sender(ScriptedProcessor("noop"), transport: sender)
        let running = Task { try await worker.run() }
        defer { worker.hurry() }
        try await database.insertJob()
        try await eventually("the outcome was to be stored") {
            try await database.count(
                "query LIKE '/* jobworker:deliveries.settle */%' AND state = 'idle' AND datname = current_database()",
                of: "pg_stat_activity") > 0
        }
        #expect(try await scene.deliveries("status = 'pending'") == 1)
        await holder.close()
        // Before its lease ends, after half a minute.
        try await scene.until("status = 'delivered' AND attempts = 1", atMost: .seconds(20))
        worker.stop()
        try await running.value
        #expect(sender.count == 1)
    }

    @Test func `who is late with an outcome changes nothing`() async throws {
        let scene = try WebhookScene(database)
        try await scene.endpoint("https://example.com/")
        try await database.insertJob()
        try await database.query("UPDATE public.jobs SET status = 'cancelled'")
        let store = database.store()
        let room = DeliveryRoom(free: 10, freeForFailing: 10, endpointMax: 4)
        let first = try #require(try await store.claimDeliveries(room).deliveries.first)
        #expect(try await store.claimDeliveries(room).deliveries.isEmpty)
        try await database.query("UPDATE public.webhook_deliveries SET next_attempt_at = now()")
        let second = try #require(try await store.claimDeliveries(room).deliveries.first)
        let heard = WebhookAnswer(outcome: .delivered, status: 200)
        func settle(_ delivery: WebhookDelivery) async throws -> [UUID: String] {
            try await store.settleDeliveries(
                [DeliverySettlement(delivery: delivery, answer: heard, delay: .zero)], failuresMax: 3, workerID: "w"
            ).statuses
        }
        #expect(try await settle(first) == [:])
        #expect(try await scene.deliveries("status = 'pending' AND attempts = 2") == 1)
        #expect(try await settle(second) == [second.id: "delivered"])
        // Repeated after a lost answer.
        #expect(try await settle(second) == [:])
    }
}

/// Sends nothing, and locks what it was to send before it says that it did.
private final class LockingSender: WebhookTransport {
    private let holder: Connection
    private let sent = Mutex(0)

    init(holder: Connection) { self.holder = holder }

    var count: Int { sent.withLock { $0 } }

    func send(_ delivery: WebhookDelivery, reachesPrivate: Bool) async -> WebhookAnswer? {
        sent.withLock { $0 += 1 }
        let statement = "BEGIN; SELECT FROM public.webhook_deliveries WHERE id = '\(delivery.id.text)' FOR UPDATE"
        _ = try? await holder.runScript(statement)
        return WebhookAnswer(outcome: .delivered, status: 200)
    }
}
