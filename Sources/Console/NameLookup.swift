import FoundationEssentials
import Doctor
import JobWorker
import Postgres
package import Settings

/// Looks up names for the completion of a command line, within a second and without a word.
package struct NameLookup: Sendable {
    package enum Kind: Sendable {
        case queues, types, workers, workspaces, jobs
    }

    private let sources: Sources
    private static let patience = Duration.seconds(1)
    private static let jobsMax = 50

    package init(_ sources: Sources) { self.sources = sources }

    /// - Returns: In alphabetical order; none where anything goes wrong.
    package func names(_ kind: Kind, beginningWith prefix: String) async -> [String] {
        guard let configuration = try? Configuration.load(sources) else { return [] }
        var settings = ConnectionSettings(
            connectionString: configuration.databaseURL, applicationName: "jobworker completion")
        settings.connectTimeout = Self.patience
        settings.statementTimeout = Self.patience
        settings.lockTimeout = Self.patience
        settings.answerTimeout = Self.patience
        let pool = ConnectionPool(settings, limit: 1)
        let names = try? await names(kind, prefix, JobStore(pool: pool))
        await pool.close()
        // A line each; what can't be typed is no help.
        return (names ?? []).filter { name in
            name.hasPrefix(prefix) && name.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F }
        }
    }

    private func names(_ kind: Kind, _ prefix: String, _ store: JobStore) async throws -> [String] {
        switch kind {
        case .queues: return try await store.queueNames().filter { $0 != "*" }
        case .types: return try await store.typeNames()
        case .workers: return try await store.workerNames()
        case .workspaces: return try await store.workspaceIDs()
        case .jobs:
            guard let range = JobFilter.idRange(prefix) else { return [] }
            return try await store.jobIDs(range, limit: Self.jobsMax)
        }
    }
}
