import CLibPQ
import Glibc
import Synchronization

/// A thread of its own for one connection, so that libpq's waiting never holds a thread of Swift's
/// cooperative pool. It is the executor of the `Connection` actor.
final class ConnectionThread: SerialExecutor {
    private struct State {
        var jobs: [UnownedJob] = []
        var isStopped = false
    }

    private let state = Mutex(State())
    /// Readable when there is a job to run or a reason to look up from a wait.
    let wakeup: Int32

    private init(wakeup: Int32) { self.wakeup = wakeup }

    deinit { close(wakeup) }

    /// Starts a thread, which holds its object until `stop()`.
    /// - Throws: `.unreachable` where the process has no descriptor or no thread left: that may pass.
    static func start() throws(PostgresError) -> ConnectionThread {
        let wakeup = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard wakeup >= 0 else { throw refusal(errno) }
        let started = ConnectionThread(wakeup: wakeup)
        let retained = Unmanaged.passRetained(started)
        var thread = pthread_t()
        let result = pthread_create(&thread, nil, connectionThreadMain, retained.toOpaque())
        guard result == 0 else {
            retained.release()
            throw refusal(result)
        }
        pthread_detach(thread)
        return started
    }

    private static func refusal(_ code: Int32) -> PostgresError {
        PostgresError(
            .unreachable, operation: "connect",
            message: "this process can't open one more connection: \(String(cString: strerror(code)))")
    }

    /// Lets the thread end once nothing is left to run.
    func stop() {
        state.withLock { $0.isStopped = true }
        wake()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        state.withLock { $0.jobs.append(job) }
        wake()
    }

    func wake() {
        var one: UInt64 = 1
        _ = write(wakeup, &one, 8)
    }

    /// Takes the wake-ups that have gathered, so that the descriptor is quiet again.
    func drainWakeups() {
        var count: UInt64 = 0
        _ = read(wakeup, &count, 8)
    }

    fileprivate func run() {
        while true {
            let (jobs, isStopped) = state.withLock { state in
                defer { state.jobs.removeAll(keepingCapacity: true) }
                return (state.jobs, state.isStopped)
            }
            for job in jobs { job.runSynchronously(on: asUnownedSerialExecutor()) }
            if !jobs.isEmpty { continue }
            if isStopped { return }
            var descriptor = pollfd(fd: wakeup, events: Int16(POLLIN), revents: 0)
            poll(&descriptor, 1, -1)
            drainWakeups()
        }
    }
}

/// A free function, not a closure: C calls it on the new thread, where no isolation holds.
private func connectionThreadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<ConnectionThread>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
