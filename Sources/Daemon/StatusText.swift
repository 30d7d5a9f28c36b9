import JobWorker

/// What `systemctl status` shows of the worker, in one line.
struct StatusText {
    let snapshot: WorkerState.Snapshot
    let running: Int
    let maxConcurrent: Int
    let stuck: [WorkerState.Loop]

    var line: String {
        if !stuck.isEmpty {
            return "Stuck: \(stuck.map(\.rawValue).joined(separator: ", ")) has not moved for too long"
        }
        let work = "\(running) of \(maxConcurrent) running, \(snapshot.counts.completed) completed, \(failures)"
        let unserved = snapshot.unservedTypes.sorted { $0.key < $1.key }.first.map { ". Not served: \($0.value)" } ?? ""
        switch snapshot.phase {
        case .connecting:
            return snapshot.databaseError.map { "Waiting for the database: \($0)" } ?? "Connecting to the database"
        case .awaitingMigration:
            return "The database's schema is older than this program: run 'jobworker migrate'"
        case .working:
            if let error = snapshot.databaseError { return "Database lost, \(running) running: \(error)" }
            return "Working: \(work)" + (snapshot.isListening ? "" : ", polling only") + unserved
        case .draining: return "Stopping: waiting for \(running) running jobs"
        case .stopped: return "Stopped"
        }
    }

    private var failures: String {
        let counts = snapshot.counts
        return "\(counts.failed) failed, \(counts.retried) retried"
    }
}
