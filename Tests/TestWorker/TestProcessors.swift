import FoundationEssentials
import Glibc
import JobWorker
import Postgres

/// `echo`: its payload is its result.
struct EchoProcessor: JobProcessor {
    let jobTypes = ["echo"]

    func process(_ job: Job, context: JobContext) async throws -> JSONText? { job.payload }
}

/// `trap`: ends the whole process, as a bug in a processor does. {seconds} to wait before it; {attempts}: later ones
/// succeed.
struct TrapProcessor: JobProcessor {
    let jobTypes = ["trap"]

    private struct Payload: Decodable {
        var seconds: Double?
        var attempts: Int?
    }

    func process(_ job: Job, context: JobContext) async throws -> JSONText? {
        let payload: Payload = try job.payload.decode()
        if let attempts = payload.attempts, job.attempt > attempts { return nil }
        try await Task.sleep(for: .seconds(payload.seconds ?? 0))
        // What a trap of Swift comes to, without the time that a backtrace takes.
        abort()
    }
}

/// `ledger`: writes what really happens, over a connection of its own, where no fault between the worker and its
/// database reaches it. {seconds} for the work (0), {beat} between two signs of it (0.5), {deaf} ignores a stop.
///
/// Rows of `ledger`, a number for each run: `start`, `beat`…, then `done`, or `stopped` when the task was cancelled. A
/// process that is killed leaves a run without an end.
struct LedgerProcessor: JobProcessor {
    let jobTypes = ["ledger"]
    let pool: ConnectionPool

    private struct Payload: Decodable {
        var seconds: Double?
        var beat: Double?
        var deaf: Bool?
    }

    func process(_ job: Job, context: JobContext) async throws -> JSONText? {
        let payload: Payload = try job.payload.decode()
        let run = UUID()
        try await write("start", run, job)
        let end = ContinuousClock.now + .seconds(payload.seconds ?? 0)
        while ContinuousClock.now < end {
            let pause = min(.seconds(payload.beat ?? 0.5), end - .now)
            if payload.deaf == true {
                await Task { try? await Task.sleep(for: pause) }.value
            } else if (try? await Task.sleep(for: pause)) == nil {
                try await write("stopped", run, job)
                throw CancellationError()
            }
            try await write("beat", run, job)
        }
        try await write("done", run, job)
        return try JSONText(encoding: ["run": run.uuidString.lowercased()])
    }

    /// In a task of its own: what happened is written down also after a stop.
    private func write(_ event: String, _ run: UUID, _ job: Job) async throws {
        let pool = pool
        try await Task {
            _ = try await pool.query(
                """
                INSERT INTO public.ledger (run, job_id, attempt, pid, event)
                VALUES (\(run), \(job.id), \(job.attempt), \(Int(getpid())), \(event))
                """)
        }.value
    }
}
