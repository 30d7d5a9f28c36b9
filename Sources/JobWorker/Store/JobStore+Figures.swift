package import Postgres

extension JobStore {
    /// Adds to the sums of the present minute and quarter of an hour, and takes rows that are too old. Relies on
    /// `run_figures_pkey`. Sent twice it counts twice.
    package func addFigures(_ sums: [RunTally.Kind: RunTally.Sums]) async throws(PostgresError) {
        func list(_ counts: [Int]) -> String { "{\(counts.map(String.init).joined(separator: ","))}" }
        // In one order, so that workers which store at the same time wait in line.
        let kinds = sums.sorted { ($0.key.queue, $0.key.type) < ($1.key.queue, $1.key.type) }
        _ = try await pool.query(
            """
            /* jobworker:figures.add */
            WITH gone AS (
                DELETE FROM jobworker.run_figures
                WHERE ctid = ANY (ARRAY(
                          SELECT ctid FROM jobworker.run_figures
                          WHERE span = 60 AND starts_at < clock_timestamp() - interval '3 hours'
                          LIMIT 1000 FOR UPDATE SKIP LOCKED))
                   OR ctid = ANY (ARRAY(
                          SELECT ctid FROM jobworker.run_figures
                          WHERE span = 900 AND starts_at < clock_timestamp() - interval '8 days'
                          LIMIT 1000 FOR UPDATE SKIP LOCKED))
            )
            INSERT INTO jobworker.run_figures AS known
                   (span, starts_at, queue, job_type, completed, failed, retried, waits, runs)
            SELECT spans.span, spans.starts_at, given.queue, given.job_type, given.completed, given.failed, given.retried,
                   given.waits::int[], given.runs::int[]
            FROM unnest(\(kinds.map(\.key.queue)), \(kinds.map(\.key.type)), \(kinds.map(\.value.completed)),
                        \(kinds.map(\.value.failed)), \(kinds.map(\.value.retried)), \(kinds.map { list($0.value.waits) }),
                        \(kinds.map { list($0.value.runs) }))
                 AS given (queue, job_type, completed, failed, retried, waits, runs)
            CROSS JOIN (VALUES (60, date_bin('1 minute', clock_timestamp(), 'epoch')),
                               (900, date_bin('15 minutes', clock_timestamp(), 'epoch'))) AS spans (span, starts_at)
            ORDER BY 1, 2, 3, 4
            ON CONFLICT (span, starts_at, queue, job_type) DO UPDATE
            SET completed = known.completed + excluded.completed, failed = known.failed + excluded.failed,
                retried = known.retried + excluded.retried,
                waits = ARRAY(SELECT a + b FROM unnest(known.waits, excluded.waits) WITH ORDINALITY AS u (a, b, place)
                              ORDER BY place),
                runs = ARRAY(SELECT a + b FROM unnest(known.runs, excluded.runs) WITH ORDINALITY AS u (a, b, place)
                             ORDER BY place)
            """)
    }
}
