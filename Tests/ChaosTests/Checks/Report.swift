import FoundationEssentials
import Postgres

/// Figures first, then the invariants, one check each.
struct Report: Sendable {
    let course: Course
    let database: ChaosDatabase
    let clients: Clients
    let faults: FaultLog
    let rest: Rest

    /// Violations whose job's history is shown, for each invariant.
    private static let shownMax = 3

    /// - Returns: How many invariants are broken.
    func print() async throws -> Int {
        try await figures()
        var passed = 0
        var failed = 0
        for invariant in Invariant.all {
            let rows = try await found(invariant)
            if rows.isEmpty {
                passed += 1
                Swift.print("ok \(invariant.name)")
                continue
            }
            failed += 1
            Swift.print("FAILED \(invariant.name): \(rows.count)")
            for row in rows.prefix(Report.shownMax) {
                Swift.print("  \(try row.decode("detail", as: String.self))")
                if let job = try row.decodeIfPresent("job", as: UUID.self) {
                    try await History(database: database).print(job)
                }
            }
        }
        if failed > 0 {
            Swift.print(
                "again: scripts/chaos --minutes \(course.minutes) --seed \(course.seed) --workers \(course.workers)")
        }
        Swift.print("\(passed) passed, \(failed) failed")
        return failed
    }

    /// Breaks each invariant that says how in the evidence, and looks whether its query notices.
    /// - Returns: How many are blind.
    func prove() async throws -> Int {
        var blind = 0
        for invariant in Invariant.all {
            guard let spoil = invariant.spoil else { continue }
            struct Undone: Error { let count: Int }
            do {
                try await database.admin.transaction { connection in
                    for sql in ["SET LOCAL session_replication_role = replica"]
                        + spoil.split(separator: ";").map(String.init)
                    {
                        try connection.execute(Statement(stringLiteral: sql))
                    }
                    let rows = try connection.execute(
                        Statement(stringLiteral: "SELECT job FROM (\(invariant.sql)) AS broken LIMIT 1"))
                    throw Undone(count: rows.count)
                }
            } catch let undone as Undone {
                Swift.print("\(undone.count > 0 ? "notices" : "BLIND"): \(invariant.name)")
                if undone.count == 0 { blind += 1 }
            }
        }
        return blind
    }

    private func found(_ invariant: Invariant) async throws -> Rows {
        try await database.admin.query(
            Statement(stringLiteral: "SELECT job, detail FROM (\(invariant.sql)) AS broken LIMIT 1000"))
    }

    // MARK: Figures

    private func figures() async throws {
        let counts = clients.counts
        Swift.print(
            "seed \(course.seed), \(course.minutes) min, \(course.workers) workers, quiet after \(tenths(rest.seconds)) s"
        )
        try await show("faults", "SELECT kind AS name, count(*) AS count FROM chaos.faults GROUP BY kind ORDER BY kind")
        Swift.print(
            """
            clients: \(counts.added) added, \(counts.workflows) workflows, \(counts.duplicates) duplicates, \(counts.cancelled) cancelled, \
            \(counts.retried) retried, \(counts.refused) refused, \(counts.unanswered) unanswered
            """)
        try await show(
            "jobs",
            "SELECT job_type || ' ' || status AS name, count(*) AS count FROM public.jobs GROUP BY 1 ORDER BY 1")
        try await show(
            "executions",
            "SELECT coalesce(how, 'cut off') AS name, count(*) AS count FROM chaos.executions GROUP BY 1 ORDER BY 1")
        try await show(
            "handed over",
            """
            SELECT CASE WHEN deaths > old_deaths THEN 'taken back' WHEN next_retry IS NULL THEN 'given back'
                        WHEN attempts < old_attempts THEN 'snoozed' ELSE 'to be retried' END AS name, count(*) AS count
            FROM chaos.audit WHERE old_status = 'processing' AND status IN ('pending', 'failed') GROUP BY 1 ORDER BY 1
            """)
        try await show(
            "excused overlaps",
            """
            SELECT CASE WHEN is_deaf THEN 'deaf' ELSE 'frozen' END AS name, count(*) AS count
            FROM (\(Invariant.overlaps)) AS o WHERE is_frozen OR is_deaf GROUP BY 1
            """)
        try await show(
            "jobs of schedules",
            """
            SELECT schedule.name, count(*) AS count FROM public.jobs JOIN public.job_schedules AS schedule
                ON schedule.id = jobs.schedule_id GROUP BY 1 ORDER BY 1
            """)
        try await show(
            "events",
            "SELECT event AS name, count(*) AS count FROM public.webhook_deliveries GROUP BY 1 ORDER BY 1")
        try await show(
            "alerts", "SELECT rule AS name, count(*) AS count FROM public.job_alerts GROUP BY 1 ORDER BY 1")
        try await neverRun()
        try await recoveries()
    }

    private func show(_ title: String, _ sql: String) async throws {
        let rows = try await database.admin.query(Statement(stringLiteral: sql))
        var sum = 0
        var parts: [String] = []
        for row in rows {
            let count: Int = try row.decode("count")
            sum += count
            parts.append("\(try row.decode("name", as: String.self)) \(count)")
        }
        Swift.print("\(title): \(sum)\(parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))")")
    }

    /// Claims whose answer was lost: nobody runs them, and nobody may keep them.
    private func neverRun() async throws {
        let rows = try await database.admin.query(
            """
            SELECT count(*) AS count, coalesce(max(extract(epoch FROM (
                SELECT min(a.at) FROM chaos.audit AS a WHERE a.job = c.job AND a.seq > c.seq) - c.at)), 0)::float8 AS longest
            FROM chaos.claims AS c
            WHERE NOT EXISTS (SELECT FROM chaos.executions AS e WHERE e.job = c.job AND e.claimed = c.started)
            """)
        for row in rows {
            let longest: Double = try row.decode("longest")
            Swift.print(
                "claims never run: \(try row.decode("count", as: Int.self)), held for \(tenths(longest)) s at most")
        }
    }

    /// From the end of a worker to the next run of what it was running, the retry's delay included. Without what
    /// people changed meanwhile.
    private func recoveries() async throws {
        let rows = try await database.admin.query(
            """
            SELECT kind, count(*) AS count, percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds) AS p50,
                   percentile_disc(0.99) WITHIN GROUP (ORDER BY seconds) AS p99, max(seconds) AS longest,
                   percentile_disc(0.5) WITHIN GROUP (ORDER BY free_after) AS free_p50,
                   percentile_disc(0.99) WITHIN GROUP (ORDER BY free_after) AS free_p99
            FROM (
                SELECT f.kind, extract(epoch FROM b.started - f.began)::float8 AS seconds,
                       extract(epoch FROM t.at - f.began)::float8 AS free_after
                FROM chaos.faults AS f
                JOIN chaos.executions AS e ON e.worker = f.worker AND e.how IS NULL
                JOIN chaos.audit AS t ON t.job = e.job AND t.old_started = e.claimed AND t.deaths > t.old_deaths
                CROSS JOIN LATERAL (SELECT started FROM chaos.executions AS b WHERE b.job = e.job AND b.claimed > e.claimed
                                    ORDER BY b.claimed LIMIT 1) AS b
                WHERE f.kind IN ('kill', 'killAndPause') AND NOT EXISTS (
                    SELECT FROM chaos.audit AS h WHERE h.job = e.job AND h.who = '\(sql: ChaosDatabase.client)'
                    AND h.at BETWEEN e.claimed AND b.started)
            ) AS recoveries GROUP BY kind ORDER BY kind
            """)
        for row in rows {
            func seconds(_ column: String) throws -> Double { tenths(try row.decode(column)) }
            Swift.print(
                """
                \(try row.decode("kind", as: String.self)): \(try row.decode("count", as: Int.self)) jobs, \
                taken back p50 \(try seconds("free_p50")) s, p99 \(try seconds("free_p99")) s, \
                running again p50 \(try seconds("p50")) s, p99 \(try seconds("p99")) s, longest \(try seconds("longest")) s
                """)
        }
    }

    private func tenths(_ seconds: Double) -> Double { (seconds * 10).rounded() / 10 }
}
