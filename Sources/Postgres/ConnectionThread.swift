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

    init() {
        wakeup = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        precondition(wakeup >= 0, "eventfd: \(String(cString: strerror(errno)))")
    }

    deinit { close(wakeup) }

    /// Starts the thread; it holds this object until `stop()`.
    func start() {
        var thread = pthread_t()
        let result = pthread_create(&thread, nil, connectionThreadMain, Unmanaged.passRetained(self).toOpaque())
        precondition(result == 0, "pthread_create: \(String(cString: strerror(result)))")
        pthread_detach(thread)
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
