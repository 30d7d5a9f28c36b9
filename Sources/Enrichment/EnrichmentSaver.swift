import FoundationEssentials
import JobWorker
import Postgres

/// Stores what an enrichment found: row, cache and credits, all or nothing.
struct EnrichmentSaver: Sendable {
    /// One answer of Apollo's that was paid for.
    struct Payment: Sendable, Hashable {
        /// Made up when the answer came: a save that is repeated recognises itself by it.
        let call: UUID
        let credits: Int
    }

    struct Saved: Sendable, Hashable {
        /// Columns whose values changed, the time stamps apart.
        var fields: Int
        /// Values left out because another row of the workspace has them.
        var skipped: [String] = []
        /// The row was deleted meanwhile.
        var isGone = false
    }

    let pool: ConnectionPool
    let cacheLifetime: Duration

    /// Stores `record`.
    ///
    /// May be repeated after any failure, also one that leaves open whether the transaction took effect: a row
    /// of the job's log, written with the payment, tells that it did.
    /// - Parameters:
    ///   - payment: `nil` when the record came from the cache.
    ///   - updatesRow: `false` stores only what was paid for: the attempt may no longer change the row.
    /// - Throws: `PostgresError`.
    func save<Subject: EnrichmentSubject>(
        _ record: ApolloRecord, for subject: Subject, job: Job, payment: Payment?, updatesRow: Bool
    ) async throws -> Saved {
        do {
            return try await save(record, for: subject, job: job, payment: payment, updatesRow: updatesRow, omits: [])
        } catch let error as PostgresError where error.sqlState == "23505" || error.sqlState == "23514" {
            // Another row took the value since it was looked for, or a check of the application's wants it otherwise.
            return try await save(
                record, for: subject, job: job, payment: payment, updatesRow: updatesRow,
                omits: [Subject.uniqueColumn] + Subject.columnsWithUnique)
        }
    }

    private func save<Subject: EnrichmentSubject>(
        _ record: ApolloRecord, for subject: Subject, job: Job, payment: Payment?, updatesRow: Bool, omits: [String]
    ) async throws -> Saved {
        try await pool.transaction { connection in
            if let payment, let saved = try EnrichmentSaver.savedBefore(payment, job: job, on: connection) {
                return saved
            }
            var saved = Saved(fields: 0)
            if updatesRow {
                saved = try EnrichmentSaver.updateRow(record, for: subject, job: job, omits: omits, on: connection)
            }
            if let payment {
                try EnrichmentCache.write(
                    record, subject.lookup, workspace: job.workspaceID, lifetime: cacheLifetime, on: connection)
                try EnrichmentSaver.count(payment, saved, job: job, on: connection)
            }
            try connection.execute(
                """
                /* jobworker:enrichment.count_credits */
                UPDATE public.workspace_settings
                SET enrichment_credits_used = coalesce(enrichment_credits_used, 0) + \(payment?.credits ?? 0),
                    last_enrichment_at = clock_timestamp()
                WHERE workspace_id = \(job.workspaceID)
                """)
            return saved
        }
    }

    private static func savedBefore(
        _ payment: Payment, job: Job, on connection: isolated Connection
    ) throws -> Saved? {
        let rows = try connection.execute(
            """
            /* jobworker:enrichment.saved_before */
            SELECT coalesce((log.metadata ->> 'fields_enriched')::int, 0) AS fields
            FROM public.job_logs AS log
            JOIN public.jobs ON jobs.id = log.job_id AND jobs.workspace_id = \(job.workspaceID)
            WHERE log.job_id = \(job.id) AND log.metadata ->> 'apollo_call' = \(payment.call.text)
            """)
        return try rows.first.map { Saved(fields: try $0.decode("fields")) }
    }

    /// The receipt: members see what was spent, and a repeated save or attempt finds it.
    private static func count(
        _ payment: Payment, _ saved: Saved, job: Job, on connection: isolated Connection
    ) throws {
        let metadata: JSONValue = [
            "apollo_call": .string(payment.call.text), "credits_used": .integer(Int64(payment.credits)),
            "fields_enriched": .integer(Int64(saved.fields)),
        ]
        let text = try JSONText(encoding: metadata).text
        try connection.execute(
            """
            /* jobworker:enrichment.receipt */
            INSERT INTO public.job_logs (job_id, log_level, message, metadata)
            SELECT jobs.id, 'info', 'Apollo found a match and charged for it', \(RawJSON(text))
            FROM public.jobs
            WHERE jobs.id = \(job.id) AND jobs.workspace_id = \(job.workspaceID)
            """)
    }

    private static func updateRow<Subject: EnrichmentSubject>(
        _ record: ApolloRecord, for subject: Subject, job: Job, omits: [String], on connection: isolated Connection
    ) throws -> Saved {
        let rows = try connection.execute(
            """
            /* jobworker:enrichment.lock_row */
            SELECT \(sql: Subject.columns.joined(separator: ", ")) FROM \(sql: Subject.table)
            WHERE id = \(subject.id) AND workspace_id = \(job.workspaceID)
            FOR NO KEY UPDATE
            """)
        guard let row = rows.first else { return Saved(fields: 0, isGone: true) }
        // The attempt began by the database's clock.
        let year = Int(job.startedAt.description.prefix(4)) ?? 9999
        var changes = subject.changes(record, stored: StoredRow(row), year: year)
        var skipped: [String] = []
        if let change = changes.first(where: { $0.column == Subject.uniqueColumn }) {
            let isTaken =
                try omits.contains(Subject.uniqueColumn) || taken(change, by: subject, job: job, on: connection)
            if isTaken {
                changes.removeAll { $0.column == Subject.uniqueColumn || Subject.columnsWithUnique.contains($0.column) }
                skipped = [Subject.uniqueColumn]
            }
        }
        var assignments = changes.map(\.assignment)
        for change in changes {
            if let stamp = Subject.stamps[change.column] { assignments.append(Fragment(stringLiteral: stamp)) }
        }
        assignments.append("last_enriched_at = clock_timestamp()")
        try connection.execute(
            """
            /* jobworker:enrichment.update_row */
            UPDATE \(sql: Subject.table) SET \(Fragment.joined(assignments, separator: ", "))
            WHERE id = \(subject.id) AND workspace_id = \(job.workspaceID)
            """)
        return Saved(fields: changes.count, skipped: skipped)
    }

    private static func taken<Subject: EnrichmentSubject>(
        _ change: ColumnChange, by subject: Subject, job: Job, on connection: isolated Connection
    ) throws -> Bool {
        try !connection.execute(
            """
            /* jobworker:enrichment.unique_taken */
            SELECT 1 AS taken FROM \(sql: Subject.table)
            WHERE workspace_id = \(job.workspaceID) AND id <> \(subject.id)
              AND \(sql: change.column) = \(change.value.fragment) AND \(sql: Subject.uniqueAmong)
            LIMIT 1
            """
        ).isEmpty
    }
}
