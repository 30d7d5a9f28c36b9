package import FoundationEssentials
import Postgres

/// Why a job could not be changed as a person wished. Nothing was changed.
package enum JobChangeRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// There is no such job, or it isn't the caller's to see.
    case notFound(UUID)
    /// Its state doesn't allow it; a sentence.
    case conflict(String)

    package var description: String {
        switch self {
        case .notFound(let id): "there is no job \(id.text)"
        case .conflict(let sentence): sentence
        }
    }
}

extension JobStore {
    /// Cancels a job that waits or runs; one that runs is told within a second.
    /// - Throws: `JobChangeRefusal`, `PostgresError`.
    package func cancel(_ id: UUID, by requester: Requester) async throws -> JobSummary {
        try await change(
            id, by: requester,
            "/* jobworker:jobs.cancel */ SELECT \(sql: JobSummary.columns) FROM jobworker.cancel_job(\(id)) AS jobs")
    }

    /// Makes a failed, set-aside, cancelled or waiting job due now.
    /// - Throws: `JobChangeRefusal`, also where another job holds its unique key; `PostgresError`.
    package func retry(_ id: UUID, by requester: Requester) async throws -> JobSummary {
        try await change(
            id, by: requester,
            "/* jobworker:jobs.retry */ SELECT \(sql: JobSummary.columns) FROM jobworker.retry_job(\(id)) AS jobs")
    }

    /// Deletes a finished job with its log, and settles its dead letters as ignored. Relies on `jobs_pkey` and
    /// `dead_letter_queue_job`.
    /// - Returns: The job as it was.
    /// - Throws: `JobChangeRefusal`, `PostgresError`.
    package func delete(_ id: UUID, by requester: Requester) async throws -> JobSummary {
        try await change(
            id, by: requester,
            "/* jobworker:jobs.delete */ SELECT \(sql: JobSummary.columns) FROM jobworker.delete_job(\(id)) AS jobs")
    }

    func change(_ id: UUID, by requester: Requester, _ statement: Statement) async throws -> JobSummary {
        do {
            return try await pool.transaction { connection in
                try connection.execute(requester.statement)
                guard let row = try connection.execute(statement).first else { throw JobChangeRefusal.notFound(id) }
                return try JobSummary(row)
            }
        } catch let error as PostgresError {
            switch error.sqlState {
            case "P0002": throw JobChangeRefusal.notFound(id)
            case "JW409": throw JobChangeRefusal.conflict(error.message)
            default: throw error
            }
        }
    }
}
