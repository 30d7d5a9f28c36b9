import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Who did what, by commands: of each one that changes something.
@Suite(.database(), .timeLimit(.minutes(5))) struct AuditCommandTests {
    let database = TestDatabase.current

    /// Commands that change nothing of what the audit is about.
    private static let reading: Set<String> = [
        "jobs list", "jobs show", "jobs logs", "jobs watch", "jobs wait", "why", "stats", "queues list", "workers list",
        "schedules list", "schedules show", "schedules next", "webhooks list", "webhooks deliveries",
        "workflow list", "workflow show", "dlq groups", "dlq list", "operations list", "operations show", "limits list",
        "alerts list",
        "handlers list", "handlers check", "handlers run",
        "audit list", "keys generate", "keys check", "config", "doctor", "health", "reference",
    ]
    /// What they leave is for `OperationTests` and `DeadLetterTests`.
    private static let ofOperations: Set<String> = [
        "dlq retry", "dlq move", "dlq discard", "jobs replay", "operations pause", "operations resume",
        "operations abort",
    ]
    /// What they leave is for `LimitRoutesTests`.
    private static let ofLimits: Set<String> = ["queues set", "limits set", "limits remove"]
    /// What they leave is for `WorkflowTests`.
    private static let ofWorkflows: Set<String> = [
        "workflow run", "workflow split", "workflow cancel", "workflow retry",
    ]
    /// What runs the program or prepares a database, before anybody could be named.
    private static let setUp: Set<String> = ["run", "dev", "migrate"]

    private struct Change: Sendable {
        let command: String
        let arguments: @Sendable (UUID) -> [String]
        let status: JobStatus
        let actions: [String]
        var input = ""
        var takesReason = true
    }

    private static let changing: [Change] = [
        Change(
            command: "enqueue",
            arguments: { _ in ["enqueue", "noop", "--workspace", TestDatabase.workspace.text] }, status: .completed,
            actions: ["job.add"], takesReason: false),
        Change(
            command: "jobs cancel", arguments: { ["jobs", "cancel", $0.text] }, status: .pending,
            actions: ["job.cancel"]),
        Change(
            command: "jobs retry", arguments: { ["jobs", "retry", $0.text] }, status: .failed, actions: ["job.retry"]),
        Change(
            command: "jobs delete", arguments: { ["jobs", "delete", $0.text] }, status: .completed,
            actions: ["job.delete"]),
        Change(
            command: "queues pause", arguments: { _ in ["queues", "pause", "mail"] }, status: .completed,
            actions: ["queue.pause"]),
        Change(
            command: "queues resume", arguments: { _ in ["queues", "resume", "mail"] }, status: .completed,
            actions: ["queue.resume"]),
        Change(
            command: "schedules add",
            arguments: { _ in
                [
                    "schedules", "add", "nightly", "--workspace", TestDatabase.workspace.text, "--type", "noop",
                    "--cron", "0 3 * * *",
                ]
            },
            status: .completed, actions: ["schedule.add"]),
        Change(
            command: "schedules set",
            arguments: { _ in
                ["schedules", "set", "nightly", "--workspace", TestDatabase.workspace.text, "--cron", "0 4 * * *"]
            },
            status: .completed, actions: ["schedule.change"]),
        Change(
            command: "schedules pause",
            arguments: { _ in ["schedules", "pause", "nightly"] },
            status: .completed, actions: ["schedule.change"]),
        Change(
            command: "schedules resume",
            arguments: { _ in ["schedules", "resume", "nightly"] },
            status: .completed, actions: ["schedule.change"]),
        Change(
            command: "schedules run",
            arguments: { _ in ["schedules", "run", "nightly"] },
            status: .completed, actions: ["schedule.run"]),
        Change(
            command: "schedules remove",
            arguments: { _ in ["schedules", "remove", "nightly"] },
            status: .completed, actions: ["schedule.delete"]),
        Change(
            command: "keys set-apollo",
            arguments: { _ in ["keys", "set-apollo", "--workspace", TestDatabase.workspace.text] }, status: .completed,
            actions: ["settings.add", "settings.change"], input: "sk-very-secret-1234\n"),
        Change(
            command: "keys rotate", arguments: { _ in ["keys", "rotate"] }, status: .completed,
            actions: ["settings.rotate_key"]),
    ]

    /// What these leave is looked at in `WebhooksCommandTests`: they need the ids of what they have made.
    private static let webhooks: Set<String> = [
        "webhooks add", "webhooks test", "webhooks redeliver", "webhooks enable", "webhooks disable", "webhooks remove",
    ]

    private func leaves(_ command: JSONValue, _ path: [String] = []) -> [String] {
        let below = command["subcommands"]?.array?.filter { $0["commandName"] != "help" } ?? []
        let names = below.compactMap { $0["commandName"]?.string }
        guard !names.isEmpty else { return [path.joined(separator: " ")] }
        return zip(names, below).flatMap { leaves($1, path + [$0]) }
    }

    @Test func `every command is known to change something, or not to`() async throws {
        let help = try await CommandRun.of("--experimental-dump-help").json()
        let all = Set(leaves(try #require(help["command"]))).filter { !$0.hasPrefix("bench") }
        #expect(
            all
                == Self.reading.union(Self.setUp).union(Self.ofWorkflows).union(Self.changing.map(\.command))
                .union(Self.webhooks).union(Self.ofOperations).union(Self.ofLimits))
    }

    @Test func `every command that changes something leaves who, how, what, before and after`() async throws {
        let old = try await CommandRun.of("keys", "generate", "--id", "old").output.split(separator: "\n")[0]
        let new = try await CommandRun.of("keys", "generate", "--id", "new").output.split(separator: "\n")[0]
        for change in Self.changing {
            let job = try await database.insertJob(status: change.status)
            let last: Int = try await database.value("SELECT coalesce(max(id), 0) FROM public.job_audit") ?? 0
            let keys = change.command == "keys rotate" ? "\(new),\(old)" : "\(old)"
            let run = try await CommandRun.of(
                arguments: change.arguments(job) + (change.takesReason ? ["--reason", "tidy up"] : []),
                database: database, environment: ["WORKER_ENCRYPTION_KEYS": keys], input: change.input)
            #expect(run.status == 0, "\(change.command): \(run.error)")
            let rows = try await database.query(
                """
                SELECT action, actor, via, reason, before, after FROM public.job_audit WHERE id > \(last) ORDER BY id
                """)
            #expect(rows.count == 1, "\(change.command)")
            for row in rows {
                #expect(change.actions.contains(try row.decode("action", as: String.self)), "\(change.command)")
                #expect(try row.decode("via") == "cli")
                #expect(try row.decode("actor", as: String.self).hasPrefix("operator:"))
                #expect(try row.decodeIfPresent("reason") == (change.takesReason ? "tidy up" : nil))
                let before: JSONText? = try row.decodeIfPresent("before")
                let after: JSONText? = try row.decodeIfPresent("after")
                #expect(before != nil || after != nil)
                let kept = "\(before?.text ?? "") \(after?.text ?? "")"
                #expect(!kept.contains("sk-very"))
            }
        }
        let rotated = try await CommandRun.of("audit", "--action", "settings.rotate_key", database: database)
        #expect(rotated.output.contains("encryption_key: old → new"), "\(rotated.output)")
    }

    @Test func `the audit is listed for people and for programs`() async throws {
        let id = try await database.insertJob()
        _ = try await CommandRun.of("jobs", "cancel", id.text, "--reason", "wrong list", database: database)
        _ = try await CommandRun.of("jobs", "retry", id.text, database: database)
        let text = try await CommandRun.of("audit", "--job", id.text, database: database).output
        let lines = text.split(separator: "\n")
        #expect(lines.count == 4 && lines[0].contains("job.retry") && lines[2].contains("“wrong list”"))
        #expect(lines[3].contains("status: pending → cancelled"))
        let page = try await CommandRun.of("audit", "list", "--limit", "1", "--json", database: database).json()
        #expect(page["entries"]?.array?.first?["after"]?["status"] == "pending")
        let cursor = try #require(page["next_cursor"]?.string)
        let rest = try await CommandRun.of("audit", "--cursor", cursor, "--json", database: database).json()
        #expect(rest["entries"]?.array?.map { $0["action"] } == ["job.cancel"] && rest["next_cursor"] == .null)
        let none = try await CommandRun.of("audit", "--actor", "user:nobody", "--json", database: database).json()
        #expect(none["entries"] == [])
    }
}
