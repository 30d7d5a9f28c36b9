import FoundationEssentials
import Glibc
import JobWorker
import Logging
import Postgres
import Synchronization

@testable import Handlers

/// What an attempt told while it ran.
final class HandlerRecord: JobReporter {
    private let all = Mutex<(progress: [JobProgress], rows: [JobLogEntry])>(([], []))

    var progress: [JobProgress] { all.withLock { $0.progress } }
    var rows: [JobLogEntry] { all.withLock { $0.rows } }
    var messages: [String] { rows.map(\.message) }

    func report(_ progress: JobProgress) async throws { all.withLock { $0.progress.append(progress) } }
    func log(_ entry: JobLogEntry) async throws { all.withLock { $0.rows.append(entry) } }
}

/// An attempt of an exec handler without a worker around it.
struct HandlerRun {
    let record = HandlerRecord()
    let job: Job

    init(payload: String = "{}", attempt: Int = 1) {
        let now = Timestamp(microseconds: 1_700_000_000_000_000)
        job = Job(
            id: UUID(), workspaceID: UUID(), type: "tested", payload: JSONText(payload), attempt: attempt,
            createdAt: now,
            dueAt: now, startedAt: now)
    }

    var context: JobContext {
        JobContext(deadline: .now + .seconds(60), logger: Logger(label: "test"), reporter: record)
    }

    /// Reads a handler as its file has it.
    static func processor(_ yaml: String) throws -> ExecProcessor {
        let definition = try HandlerFile(parsing: "job_type: tested\n\(yaml)", path: "/tmp/tested.yaml").handlers[0]
        guard case .exec(let settings) = definition.kind else { throw JobFailure.permanent("no exec handler") }
        return ExecProcessor(definition, settings)
    }

    static func shell(_ script: String, _ more: String = "") throws -> ExecProcessor {
        let quoted = try JSONText(encoding: script).text
        return try processor("exec: [\"/bin/sh\", \"-c\", \(quoted)]\n\(more)")
    }

    func run(_ script: String, _ more: String = "") async throws -> String? {
        try await Self.shell(script, more).process(job, context: context)?.text
    }

    /// The failure of a script that must fail.
    func failure(_ script: String, _ more: String = "") async -> JobFailure? {
        do {
            _ = try await run(script, more)
            return nil
        } catch {
            return error as? JobFailure
        }
    }

    /// Processes that have this job in their environment.
    var processes: [String] {
        let mark = "JOB_ID=\(job.id.uuidString.lowercased())"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.filter { name in
            guard Int(name) != nil, let environment = ProcessFile.read("/proc/\(name)/environ") else { return false }
            return environment.split(separator: 0).contains { $0.elementsEqual(mark.utf8) }
        }
    }
}
