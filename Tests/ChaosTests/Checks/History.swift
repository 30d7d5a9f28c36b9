import FoundationEssentials
import Postgres

/// All that is known of one job, in the order in which it happened.
struct History: Sendable {
    let database: ChaosDatabase

    func print(_ job: UUID) async throws {
        let rows = try await database.admin.query(
            """
            SELECT at::text AS at, what FROM (
                SELECT at, seq, format('row    %s -> %s, attempts %s -> %s, token %s, %s, lease %s -> %s, next retry %s, deaths %s, by %s',
                    old_status, status, old_attempts, attempts, token, worker, old_open, lease_open, next_retry, deaths, who) AS what
                FROM chaos.audit WHERE job = \(job)
                UNION ALL
                SELECT started, 0, format('ledger run %s of the claim of %s begins as attempt %s in %s (process %s)', run,
                    claimed, attempt, worker, pid) FROM chaos.executions WHERE job = \(job)
                UNION ALL
                SELECT last_seen, 1, format('ledger run %s is seen last: %s', run, coalesce(how, 'no end')) FROM chaos.executions
                WHERE job = \(job)
                UNION ALL
                SELECT created_at, 2, format('log    %s: %s', log_level, message) FROM public.job_logs WHERE job_id = \(job)
                UNION ALL
                SELECT f.began, 3, format('fault  %s %s until %s', f.kind, f.worker, f.ended) FROM chaos.faults AS f
                WHERE f.worker IN (SELECT worker FROM chaos.claims WHERE job = \(job))
                  AND f.ended >= (SELECT min(at) FROM chaos.audit WHERE job = \(job))
                  AND f.began <= (SELECT max(at) + interval '5 seconds' FROM chaos.audit WHERE job = \(job))
            ) AS events ORDER BY at, seq
            """)
        Swift.print("    job \(job.text)")
        for row in rows {
            Swift.print("      \(try row.decode("at", as: String.self)) \(try row.decode("what", as: String.self))")
        }
    }
}
