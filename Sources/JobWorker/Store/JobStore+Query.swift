package import FoundationEssentials
package import Postgres

/// A part of a list of jobs, newest first.
package struct JobPage: Sendable {
    package let jobs: [JobSummary]
    /// Where the next page begins; `nil` on the last.
    package let next: JobCursor?

    package init(jobs: [JobSummary], next: JobCursor?) {
        self.jobs = jobs
        self.next = next
    }
}

extension JobStore {
    /// The jobs that a filter means, newest first.
    package func jobs(_ filter: JobFilter, after cursor: JobCursor? = nil, limit: Int) async throws -> JobPage {
        let rows = try await pool.transaction { connection in
            try connection.execute(JobStore.listPlanning(of: filter))
            return try connection.execute(
                """
                /* jobworker:jobs.list */
                SELECT \(sql: JobSummary.columns)
                \(JobStore.newest(filter, after: cursor, limit: limit + 1))
                """)
        }
        var jobs: [JobSummary] = []
        for row in rows { jobs.append(try JobSummary(row)) }
        guard jobs.count > limit else { return JobPage(jobs: jobs, next: nil) }
        jobs.removeLast()
        return JobPage(jobs: jobs, next: jobs.last?.cursor)
    }

    /// How many jobs a filter means. Reads as much as `jobs` without a limit.
    package func count(_ filter: JobFilter) async throws(PostgresError) -> Int {
        let rows = try await pool.query(
            "/* jobworker:jobs.count */ SELECT count(*) AS count FROM public.jobs WHERE \(filter.condition)")
        return try rows.first?.decode("count") ?? 0
    }

    /// These jobs, in the order given; those that aren't there are left out. Relies on `jobs_pkey`.
    package func jobs(withIDs ids: [UUID]) async throws(PostgresError) -> [JobSummary] {
        let rows = try await pool.query(
            """
            /* jobworker:jobs.by_id */
            SELECT \(sql: JobSummary.columns) FROM public.jobs WHERE jobs.id = ANY (\(ids))
            """)
        var found: [UUID: JobSummary] = [:]
        for row in rows {
            let job = try JobSummary(row)
            found[job.id] = job
        }
        return ids.compactMap { found[$0] }
    }

    /// One job with all its columns; `nil` where there is none. Relies on `jobs_pkey`.
    package func job(withID id: UUID) async throws(PostgresError) -> JobRecord? {
        let rows = try await pool.query(
            "/* jobworker:jobs.show */ SELECT \(sql: JobRecord.columns) FROM public.jobs WHERE jobs.id = \(id)")
        guard let row = rows.first else { return nil }
        return try JobRecord(row)
    }

    /// The database's clock, which decides when a job is due.
    package func now() async throws(PostgresError) -> Timestamp {
        let rows = try await pool.query("/* jobworker:now */ SELECT clock_timestamp() AS now")
        guard let row = rows.first else {
            throw PostgresError(.malformed, operation: "jobworker:now", message: "no answer")
        }
        return try row.decode("now")
    }

    /// Sends an empty notification.
    /// - Parameter channel: A name the program itself chose.
    package func notify(_ channel: String) async throws(PostgresError) {
        try await pool.query("/* jobworker:notify */ SELECT pg_notify(\(channel), '')")
    }
}
