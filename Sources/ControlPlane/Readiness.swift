package import JobWorker

/// Whether a worker takes jobs, and if not, why: the answer of `GET /readyz`.
package struct Readiness: Sendable, Hashable {
    package enum Obstacle: String, Sendable, Hashable, CaseIterable {
        case databaseNotConnected = "database_not_connected"
        case schemaNotMigrated = "schema_not_migrated"
        case databaseUnreachable = "database_unreachable"
        case draining
        case stopped
    }

    /// `nil` when it is ready.
    package let obstacle: Obstacle?

    package init(_ snapshot: WorkerState.Snapshot) {
        obstacle =
            switch snapshot.phase {
            case .connecting: .databaseNotConnected
            case .awaitingMigration: .schemaNotMigrated
            case .working: snapshot.isConnected ? nil : .databaseUnreachable
            case .draining: .draining
            case .stopped: .stopped
            }
    }
}

extension Readiness.Obstacle {
    var sentence: String {
        switch self {
        case .databaseNotConnected: "The worker is not connected to the database yet."
        case .schemaNotMigrated:
            "The database's schema is missing or older than this program: run 'jobworker migrate'."
        case .databaseUnreachable: "The database is out of reach."
        case .draining: "The worker is stopping: it finishes its jobs and takes no others."
        case .stopped: "The worker has stopped."
        }
    }
}
