@testable import JobWorker
import Synchronization

/// A worker that does what the test says.
final class FakeWorker: WorkerControl {
    let state = WorkerState()
    let configuration: WorkerConfiguration
    let runningCount: Int
    private let poll: @Sendable (Duration) async -> PollReport
    private let limits = Mutex<[Duration]>([])

    init(running: Int = 0, poll: @escaping @Sendable (Duration) async -> PollReport = { _ in PollReport() }) {
        var configuration = WorkerConfiguration(workerID: "worker-1")
        configuration.queues = [.init(name: "default"), .init(name: "mail", maxConcurrent: 2)]
        self.configuration = configuration
        runningCount = running
        self.poll = poll
        state.update { $0 = .working }
    }

    /// What the callers of `pollNow` were ready to wait.
    var pollLimits: [Duration] { limits.withLock { $0 } }

    func pollNow(waitingAtMost limit: Duration) async -> PollReport {
        limits.withLock { $0.append(limit) }
        return await poll(limit)
    }
}

extension WorkerState.Snapshot {
    /// All is well.
    static var working: Self {
        var snapshot = WorkerState.Snapshot()
        snapshot.phase = .working
        snapshot.isConnected = true
        snapshot.isListening = true
        return snapshot
    }
}
