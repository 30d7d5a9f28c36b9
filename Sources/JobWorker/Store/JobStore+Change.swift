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
        let finished = JobStatus.allCases.filter(\.isFinal).map(\.rawValue)
        return try await change(
            id, by: requester,
            """
            /* jobworker:jobs.delete */
            WITH target AS (
                SELECT \(sql: JobSummary.columns), jobs.lease_open FROM public.jobs WHERE jobs.id = \(id) FOR UPDATE
            ),
            gone AS (
                DELETE FROM public.jobs USING target
                WHERE jobs.id = target.id AND target.status = ANY (\(finished)) AND NOT target.lease_open
                RETURNING jobs.id, jobs.workspace_id, jobs.job_type, jobs.status
            ),
            ignored AS (
                UPDATE public.dead_letter_queue AS letter
                SET status = 'ignored', resolved_at = clock_timestamp(), resolved_by_name = \(requester.actor)
                FROM gone
                WHERE letter.job_id = gone.id AND gone.status = 'dead_letter'
                  AND letter.status IN ('pending', 'investigating')
            ),
            audited AS (
                -- For everybody else a trigger does this.
                INSERT INTO public.job_audit (workspace_id, job_id, actor, via, action, subject, details)
                SELECT workspace_id, id, \(requester.actor), \(requester.via.rawValue), 'job.delete', job_type,
                       jsonb_build_object('from_status', status)
                FROM gone WHERE pg_has_role('jobworker', 'MEMBER')
            )
            SELECT target.*, EXISTS (SELECT FROM gone) AS is_gone FROM target
            """)
    }

    private func change(_ id: UUID, by requester: Requester, _ statement: Statement) async throws -> JobSummary {
        do {
            return try await pool.transaction { connection in
                try connection.execute(requester.statement)
                guard let row = try connection.execute(statement).first else { throw JobChangeRefusal.notFound(id) }
                let job = try JobSummary(row)
                // Only the deletion says whether it took place; the functions raise an error.
                if row.texts.contains(where: { $0.column == "is_gone" }), try !row.decode("is_gone", as: Bool.self) {
                    throw JobChangeRefusal.conflict(
                        job.isFinal
                            ? "job \(id.text) is \(job.status ?? ""), but its run hasn't ended yet"
                            : "job \(id.text) is \(job.status ?? "without a status") and can't be deleted: cancel it first"
                    )
                }
                return job
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
