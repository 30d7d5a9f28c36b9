import Development
import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Synchronization

extension TestDatabase {
    /// How a worker reaches this database through a proxy.
    func workerSettings(through proxy: FaultProxy, application: String = "jobworker tests") -> ConnectionSettings {
        var settings = workerSettings
        settings.connectionString = proxy.connectionString(database: name, role: TestDatabase.workerRole)
        settings.applicationName = application
        return settings
    }

    /// A daemon's connection string through a proxy.
    func workerString(through proxy: FaultProxy) -> String {
        proxy.connectionString(database: name, role: TestDatabase.workerRole)
    }

    /// Adds jobs in one statement.
    func insertJobs(_ count: Int, type: String = "noop", payload: String = "{}") async throws {
        try await query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload)
            SELECT \(TestDatabase.workspace), \(type), \(JSONText(payload)) FROM generate_series(1, \(count))
            """)
    }
}

extension WorkerConfiguration {
    /// Short intervals: what takes minutes in earnest takes seconds here.
    mutating func hasten(lease: Duration = .seconds(2)) {
        pollInterval = .milliseconds(100)
        heartbeatInterval = .milliseconds(100)
        staleAfter = lease
        retry = RetryPolicy(delayBase: .milliseconds(100), delayMax: .milliseconds(100))
    }
}

/// Written by the jobs themselves, past the database: who ran which job, and whether two did at once.
final class Ledger: Sendable {
    private struct State {
        var runs: [UUID: Int] = [:]
        var live: [UUID: Int] = [:]
        var overlaps = 0
    }

    private let state = Mutex(State())

    func runs(of job: UUID) -> Int { state.withLock { $0.runs[job] ?? 0 } }
    /// Jobs that ran more than once.
    var repeated: Int { state.withLock { $0.runs.values.count { $0 > 1 } } }
    /// Jobs that ran.
    var jobs: Int { state.withLock { $0.runs.count } }
    /// Runs that began while another one of the same job went on.
    var overlaps: Int { state.withLock { $0.overlaps } }

    func record<Value>(_ job: Job, _ body: () async throws -> Value) async throws -> Value {
        state.withLock { state in
            state.runs[job.id, default: 0] += 1
            if state.live[job.id, default: 0] > 0 { state.overlaps += 1 }
            state.live[job.id, default: 0] += 1
        }
        defer { state.withLock { $0.live[job.id, default: 0] -= 1 } }
        return try await body()
    }

    /// Jobs that end by themselves.
    func processor(_ type: String = "noop", lasting duration: Duration = .zero) -> ScriptedProcessor {
        ScriptedProcessor(type) { job, _ in
            try await self.record(job) {
                if duration > .zero { try await Task.sleep(for: duration) }
                return nil
            }
        }
    }
}

/// Memory of a process that is in use now, in bytes.
func residentMemory(of process: Int32) -> Int {
    let text = (try? String(contentsOfFile: "/proc/\(process)/statm", encoding: .utf8)) ?? ""
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
}
