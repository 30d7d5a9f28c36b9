import Development
import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// A job type that an endpoint serves: the example for Next.js, run by node.
@Suite(
    .database(), .timeLimit(.minutes(2)),
    .enabled("node is not installed") { access("/usr/bin/node", X_OK) == 0 })
struct EndpointTests {
    let database = TestDatabase.current

    private static let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    private static let key = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

    /// Gives the route handler what Next.js gives it, and prints its own port.
    private static let server = """
        import http from "node:http";
        const { POST } = await import(process.argv[1]);
        const server = http.createServer(async (incoming, outgoing) => {
          const parts = [];
          for await (const part of incoming) parts.push(part);
          const answer = await POST(new Request("http://127.0.0.1/", {
            method: "POST", headers: incoming.headers, body: Buffer.concat(parts) }));
          outgoing.writeHead(answer.status, Object.fromEntries(answer.headers));
          outgoing.end(await answer.text());
        });
        server.listen(0, "127.0.0.1", () => console.log(server.address().port));
        """

    private func add(_ payload: String) async throws -> UUID {
        let id = UUID()
        try await database.run(
            """
            INSERT INTO public.jobs (id, workspace_id, job_type, payload)
            VALUES ('\(id)', '\(TestDatabase.workspace.text)', 'send_report', '\(payload)')
            """)
        return id
    }

    @Test func `the example for Next.js takes signed jobs, tells progress and refuses what it can't do`() async throws {
        let folder = "/tmp/jobworker-endpoint-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
        let route = "\(root)/Examples/nextjs-handler/app/api/jobs/send-report/route.mjs"
        let port = UInt16.random(in: 20_000...30_000)
        let node = TiedProcess(
            ["/usr/bin/node", "--input-type=module", "-e", Self.server, route],
            environment: ["JOB_HANDLER_SECRET": Self.secret, "JOB_WORKER_URL": "http://127.0.0.1:\(port)"])
        var lines = node.lines.makeAsyncIterator()
        let endpoint = try #require(await lines.next())
        try Self.secret.write(toFile: "\(folder)/secret", atomically: true, encoding: .utf8)
        try "job_type: send_report\nhttp: http://127.0.0.1:\(endpoint)/\nsecret_file: \(folder)/secret\n"
            .write(toFile: "\(folder)/send_report.yaml", atomically: true, encoding: .utf8)
        let daemon = try await RunningDaemon.start(
            database,
            environment: [
                "WORKER_HANDLERS": folder, "WORKER_HTTP_LISTEN": "127.0.0.1:\(port)",
                "WORKER_ENCRYPTION_KEYS": Self.key,
            ])
        let sent = try await add(#"{"to": "a@example.com"}"#)
        try await database.waitUntil("id = '\(sent)' AND status = 'completed'", of: "public.jobs")
        #expect(
            try await database.count(
                "id = '\(sent)' AND result->>'sent_to' = 'a@example.com' AND progress->>'message' = 'sending'",
                of: "public.jobs") == 1)
        let wrong = try await add("{}")
        try await database.waitUntil("id = '\(wrong)' AND status = 'failed' AND attempts = 1", of: "public.jobs")
        // Another secret: the endpoint refuses, and the reload is what takes it over.
        try "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".write(
            toFile: "\(folder)/secret", atomically: true, encoding: .utf8)
        try await daemon.signal(SIGHUP)
        try await daemon.logs("settings reloaded")
        let unsigned = try await add(#"{"to": "a@example.com"}"#)
        try await database.waitUntil("id = '\(unsigned)' AND status IN ('failed', 'completed')", of: "public.jobs")
        let message: String? = try await database.value(
            "SELECT error_message FROM public.jobs WHERE id::text = \(unsigned.uuidString.lowercased())")
        #expect(message == "The endpoint refused the job with 401")
        await daemon.stop()
        node.send(.terminate)
        await node.ended()
    }

    @Test func `the example's own tests pass`() async throws {
        let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
        let node = TiedProcess(["/usr/bin/node", "--test", "\(root)/Examples/nextjs-handler/"])
        var lines: [String] = []
        for await line in node.lines { lines.append(line) }
        #expect(await node.ended() == 0, "\(lines.joined(separator: "\n"))")
    }
}
