import Enrichment
import FoundationEssentials
import JobWorker
import Postgres
import Synchronization
import Webhooks

/// What is set up beside the single jobs: schedules, limits, a webhook; and the client that adds workflows and bursts of
/// jobs under limits.
struct Arrangements: Sendable {
    /// At most so many `limited` jobs at once, over all workers.
    static let limitedMax = 3
    /// So many starts of `rated` jobs a second, and so many at once after a quiet time.
    static let rate = 2
    static let burst = 2
    static let types = ["limited", "rated"]

    let database: ChaosDatabase
    let receiver: Receiver
    /// What secrets of webhooks are encrypted with.
    let encryptionKey: String

    init(database: ChaosDatabase) throws {
        self.database = database
        receiver = try Receiver()
        encryptionKey = KeyVault.generateKey(id: "chaos")
    }

    /// Workers' settings that these need.
    var environment: [String: String] {
        [
            "WORKER_ENCRYPTION_KEYS": encryptionKey, "WORKER_WEBHOOK_ALLOW_PRIVATE": "true",
            "WORKER_ALERT_INTERVAL_SECONDS": "1", "WORKER_ALERT_QUEUE_DEPTH": "50",
        ]
    }

    func begin() async throws {
        let sealed = try WebhookSecret.generate().sealed(
            by: try KeyVault(parsing: encryptionKey), workspace: JobMix.workspace)
        try await database.admin.query(
            """
            INSERT INTO public.webhook_endpoints (workspace_id, url, secret_encrypted)
            VALUES (\(JobMix.workspace), \(receiver.url), \(sealed))
            """)
        let behaviour = try JSONText(encoding: Behaviour(milliseconds: 50))
        // The second makes up for every tick that it missed; the third has one job at a time.
        for (name, seconds, overlap, catchUp, milliseconds) in [
            ("each second", 1, "allow", "one", 20), ("all ticks", 2, "allow", "all", 20),
            ("one by one", 1, "skip", "one", 1500),
        ] {
            let payload = milliseconds == 20 ? behaviour : try JSONText(encoding: Behaviour(milliseconds: milliseconds))
            try await database.admin.query(
                """
                INSERT INTO public.job_schedules (workspace_id, name, job_type, payload, every_seconds, overlap, catch_up)
                VALUES (\(JobMix.workspace), \(name), 'short', \(payload), \(seconds), \(overlap), \(catchUp))
                """)
        }
        try await database.admin.query(
            """
            INSERT INTO public.job_limits (name, job_type, max_running)
            VALUES ('limited', 'limited', \(Arrangements.limitedMax))
            """)
        try await database.admin.query(
            """
            INSERT INTO public.job_limits (name, job_type, rate, period, burst)
            VALUES ('rated', 'rated', \(Arrangements.rate), '1 second', \(Arrangements.burst))
            """)
    }

    /// Adds workflows and bursts until its task is cancelled.
    func run(random: SeededGenerator, clients: Clients) async {
        var random = random
        while !Task.isCancelled {
            try? await Task.sleep(for: random.pause(mean: .milliseconds(1200)))
            let roll = Int.random(in: 0..<100, using: &random)
            if roll < 60 {
                if let jobs = try? diamond(&random) { await clients.addWorkflow(jobs) }
                continue
            }
            let type = roll < 80 ? "limited" : "rated"
            let jobs = (0..<6).compactMap { _ in
                try? NewJob(
                    id: UUID.random(using: &random), workspaceID: JobMix.workspace, type: type,
                    payload: JSONText(encoding: Behaviour(milliseconds: type == "rated" ? 20 : 400)), maxAttempts: 5)
            }
            await clients.add(jobs)
        }
    }

    /// Two arms from one root, and a job that gets the results of both; some arms fail.
    private func diamond(_ random: inout SeededGenerator) throws -> [LinkedJob] {
        func arm(_ name: String, _ random: inout SeededGenerator) throws -> LinkedJob {
            var behaviour = Behaviour(milliseconds: Int.random(in: 5...150, using: &random))
            let type = random.pick([
                (weight: 5, value: "short"), (weight: 2, value: "flaky"), (weight: 2, value: "doomed"),
            ])
            if type == "flaky" { behaviour.failures = 1 }
            behaviour.isDoomed = type == "doomed"
            return LinkedJob(
                name: name, type: type, payload: try JSONText(encoding: behaviour), after: ["root"], maxAttempts: 4)
        }
        let join = try JSONText(encoding: Behaviour(milliseconds: 20)).text.dropLast() + #","parents":{"$result":"*"}}"#
        return [
            LinkedJob(name: "root", type: "short", payload: try JSONText(encoding: Behaviour(milliseconds: 20))),
            try arm("left", &random), try arm("right", &random),
            LinkedJob(
                name: "join", type: "short", payload: JSONText(String(join)), after: ["left", "right"],
                onDependencyFailure: random.chance(0.5) ? .run : .cancel),
        ]
    }

    /// Ends what would go on for ever, and lets the receiver answer all.
    func end() async throws {
        receiver.heal()
        try await database.admin.query("UPDATE public.job_schedules SET enabled = false")
    }

    /// Waits until every event was told; a try that failed follows the next seconds.
    func settle() async throws {
        let deadline = ContinuousClock.now + Course.quietWithin
        while ContinuousClock.now < deadline {
            let rows = try? await database.admin.query(
                "SELECT count(*) AS open FROM public.webhook_deliveries WHERE status = 'pending'")
            if let open = try? rows?.first?.decode("open", as: Int.self), open == 0 { return }
            try await Task.sleep(for: .milliseconds(300))
        }
    }
}
