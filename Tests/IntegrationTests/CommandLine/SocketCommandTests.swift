import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Commands of people who have no access to the database: a worker of the machine is asked through its socket.
@Suite(.database(), .timeLimit(.minutes(5))) struct SocketCommandTests {
    let database = TestDatabase.current

    /// Runs a command that knows the worker's directory and a token alone.
    private func run(
        _ arguments: [String], _ daemon: RunningDaemon, token: String = RunningDaemon.token
    ) async throws -> CommandRun {
        try await CommandRun.of(
            arguments: arguments,
            environment: ["RUNTIME_DIRECTORY": daemon.directory, "WORKER_SECRET_TOKEN": token])
    }

    /// What it printed, but for the moment at which it did.
    private func stable(_ run: CommandRun) throws -> [String: JSONValue] {
        var document = try #require(try run.json().object)
        document["timestamp"] = nil
        return document
    }

    private func withDaemon(_ body: (RunningDaemon) async throws -> Void) async throws {
        // Nothing of these queues is run.
        let daemon = try await RunningDaemon.start(database, environment: ["WORKER_QUEUES": "elsewhere"])
        do { try await body(daemon) } catch {
            await daemon.stop()
            throw error
        }
        await daemon.stop()
    }

    @Test func `what they show is the same as from the database`() async throws {
        try await database.insertJob("report", status: .failed, payload: "{\"n\": 1.10}", errorMessage: "no")
        let waiting = try await database.insertJob(queue: "mail", priority: 5, createdAgo: .seconds(90))
        try await database.insertJob(
            status: .completed, queue: nil, startedAgo: .seconds(80), result: "[1]", finishedAgo: .seconds(60))
        try await database.query(
            "INSERT INTO public.job_logs (job_id, log_level, message, metadata) VALUES (\(waiting), 'warn', 'w', '{\"a\": 1}')"
        )
        try await database.run("INSERT INTO public.job_queues (name, paused_at, paused_by) VALUES ('mail', now(), 'x')")
        try await withDaemon { daemon in
            for arguments in [
                ["jobs", "list"], ["jobs", "list", "--status", "failed", "--status", "completed"],
                ["jobs", "list", "--queue", "mail", "--priority", "high", "--older-than", "30s", "--limit", "1"],
                ["jobs", "list", "--type", "nothing"], ["jobs", "list", "--search", "NO"],
                ["jobs", "show", waiting.text],
                ["jobs", "logs", waiting.text], ["jobs", "logs", waiting.text, "--level", "error"], ["queues"],
                ["stats", "--workspace", TestDatabase.workspace.text],
            ] {
                let direct = try await CommandRun.of(arguments: arguments + ["--json"], database: database)
                let asked = try await run(arguments + ["--json"], daemon)
                #expect(asked.status == 0, "\(arguments): \(asked.error)")
                #expect(try stable(asked) == stable(direct), "\(arguments)")
            }
            let workers = try await run(["workers", "--json"], daemon).json()["workers"]?.array
            #expect(workers?.first?["id"]?.string == daemon.workerID && workers?.first?["state"]?.string == "alive")
            #expect(try await run(["stats"], daemon).output.contains("Queues"))
        }
    }

    @Test func `cancelling, retrying and deleting works, and is audited with the operator's name`() async throws {
        let id = try await database.insertJob(queue: "mail")
        try await withDaemon { daemon in
            #expect(try await run(["jobs", "cancel", id.text], daemon).output == "\(id.text)  cancelled\n")
            #expect(try await database.job(id).status == "cancelled")
            #expect(try await run(["jobs", "retry", "--status", "cancelled", "--yes"], daemon).output == "1 retried\n")
            #expect(try await database.job(id).status == "pending")
            let refused = try await run(["jobs", "delete", id.text], daemon)
            #expect(refused.status == 1 && refused.error.contains("cancel it first"))
            #expect(try await run(["queues", "pause", "mail"], daemon).status == 0)
            #expect(try await run(["jobs", "cancel", id.text], daemon).status == 0)
            #expect(try await run(["jobs", "delete", id.text], daemon).status == 0)
            #expect(try await database.count("true") == 0)
            let via = try await database.query("SELECT DISTINCT via AS via FROM public.job_audit")
            #expect(try via.map { try $0.decode("via", as: String.self) } == ["api"])
        }
    }

    @Test func `what is missing is 2, a wrong token 77, and following ends with the job`() async throws {
        let id = try await database.insertJob(queue: "mail")
        try await withDaemon { daemon in
            for verb in ["show", "logs", "wait", "cancel", "watch"] {
                let missing = try await run(["jobs", verb, UUID().uuidString], daemon)
                #expect(missing.status == 2 && missing.error.contains("there is no job"), "\(verb): \(missing.error)")
            }
            let stranger = try await run(["jobs"], daemon, token: "another-token-of-the-tests-of-32-bytes")
            #expect(stranger.status == 77 && stranger.error.contains("WORKER_SECRET_TOKEN"))
            async let following = run(["jobs", "logs", id.text, "--follow"], daemon)
            try await database.query(
                "INSERT INTO public.job_logs (job_id, log_level, message) VALUES (\(id), 'info', 'the last word')")
            try await database.query(
                "UPDATE public.jobs SET status = 'completed', completed_at = now() WHERE id = \(id)")
            let followed = try await following
            #expect(followed.status == 0 && followed.output.contains("the last word"), "\(followed.error)")
        }
    }

    @Test func `a database that is named is asked itself, whatever socket is there`() async throws {
        try await withDaemon { daemon in
            let named = try await CommandRun.of(
                "jobs",
                environment: [
                    "RUNTIME_DIRECTORY": daemon.directory, "WORKER_SECRET_TOKEN": RunningDaemon.token,
                    "DATABASE_URL": "postgresql://127.0.0.1:1/x",
                ])
            #expect(named.status == 69)
        }
    }
}
