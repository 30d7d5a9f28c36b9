import FoundationEssentials
import Glibc
import JobWorker
import Postgres

/// What really ran, told by the handlers themselves: a line in a file of the worker's for each event.
///
/// No fault of the catalogue reaches a file: it takes what happens while the database is away, and outlives the
/// process that wrote it. Its clock is the database's, as both are on one machine.
final class Ledger: Sendable {
    enum Event: String, Sendable {
        case start, beat, done, failed, snoozed, stopped
    }

    private let descriptor: Int32
    private let worker: String

    init(path: String, worker: String) throws {
        descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw ChaosError("the ledger \(path) can't be opened") }
        self.worker = worker
    }

    deinit { close(descriptor) }

    /// One write in append mode: lines of several tasks don't mix.
    func add(_ event: Event, run: String, of job: Job) {
        let line = [
            String(wallClock()), event.rawValue, run, job.id.text, String(job.attempt),
            String(job.startedAt.microseconds), worker, String(getpid()),
        ].joined(separator: "\t")
        let bytes = Array((line + "\n").utf8)
        _ = write(descriptor, bytes, bytes.count)
    }
}

/// Microseconds since 1970, as the server on this machine counts them.
func wallClock() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
}

struct ChaosError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
