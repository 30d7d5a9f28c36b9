import FoundationEssentials
package import Postgres

extension JobStore {
    /// Adds jobs, all or none.
    ///
    /// May be repeated after `.connectionLost`: the ids are the caller's, one that is there already is
    /// left as it is. Relies on `jobs_pkey` and `jobs_unique_key`.
    /// - Parameter requester: The person on whose behalf; it stands in the audit. `nil` for a program.
    /// - Returns: One entry for each job, in the order given.
    package func enqueue(_ jobs: [NewJob], by requester: Requester? = nil) async throws(PostgresError) -> [EnqueuedJob]
    {
        guard !jobs.isEmpty else { return [] }
        var known = try await insert(jobs, requester)
        // A unique key's holder may have ended between the insert and the look-up: then try again.
        for _ in 0..<5 {
            let missing = jobs.filter { known[$0.id] == nil }
            if missing.isEmpty { break }
            let holders = try await holders(of: missing)
            known.merge(holders) { first, _ in first }
            let unresolved = missing.filter { known[$0.id] == nil }
            if !unresolved.isEmpty { known.merge(try await insert(unresolved, requester)) { first, _ in first } }
        }
        var enqueued: [EnqueuedJob] = []
        for job in jobs {
            guard let entry = known[job.id] else {
                throw PostgresError(
                    .rejected(sqlState: "40001"), operation: "jobworker:enqueue",
                    message: "the unique key '\(job.uniqueKey ?? "")' kept changing hands; try again")
            }
            enqueued.append(entry)
        }
        return enqueued
    }

    private func insert(_ jobs: [NewJob], _ requester: Requester?) async throws(PostgresError) -> [UUID: EnqueuedJob] {
        let speaking = requester.map { self.pool.beginning(with: [$0.statement]) } ?? pool
        var added: [UUID: EnqueuedJob] = [:]
        added.reserveCapacity(jobs.count)
        if let alike = Alike(jobs) {
            do throws(PostgresError) {
                _ = try await speaking.query(alike.insertion(of: jobs))
                for job in jobs { added[job.id] = EnqueuedJob(id: job.id, isDuplicate: false) }
                return added
            } catch  where error.sqlState == "23505" {
                // Some are there from an earlier call.
            }
        }
        let rows = try await speaking.query(
            """
            /* jobworker:enqueue */
            INSERT INTO public.jobs (id, workspace_id, job_type, job_queue, payload, priority, scheduled_for,
                                     max_attempts, timeout_seconds, unique_key, created_by)
            SELECT * FROM unnest(
                \(jobs.map(\.id)), \(jobs.map(\.workspaceID)), \(jobs.map(\.type)), \(jobs.map(\.queue)),
                \(jobs.map(\.payload)), \(jobs.map(\.priority.rawValue)),
                \(NullableArray(jobs.map(\.scheduledFor))), \(jobs.map(\.maxAttempts)),
                \(NullableArray(jobs.map { $0.timeout.map { Int($0.components.seconds) } })),
                \(NullableArray(jobs.map(\.uniqueKey))), \(NullableArray(jobs.map(\.createdBy))))
            ON CONFLICT DO NOTHING
            RETURNING id
            """)
        for row in rows {
            let id = try row.decode("id", as: UUID.self)
            added[id] = EnqueuedJob(id: id, isDuplicate: false)
        }
        if added.count == jobs.count { return added }
        // Ours, from an earlier call whose answer was lost.
        let missing = jobs.filter { added[$0.id] == nil }
        let earlier = try await pool.query(
            """
            /* jobworker:enqueue.earlier */
            SELECT jobs.id FROM unnest(\(missing.map(\.id)), \(missing.map(\.workspaceID))) AS given (id, workspace_id)
            JOIN public.jobs ON jobs.id = given.id AND jobs.workspace_id = given.workspace_id
            """)
        for row in earlier {
            let id = try row.decode("id", as: UUID.self)
            added[id] = EnqueuedJob(id: id, isDuplicate: false)
        }
        return added
    }

    private func holders(of jobs: [NewJob]) async throws(PostgresError) -> [UUID: EnqueuedJob] {
        let keyed = jobs.filter { $0.uniqueKey != nil }
        let rows = try await pool.query(
            """
            /* jobworker:enqueue.holders */
            SELECT given.id AS asked, jobs.id AS held
            FROM unnest(\(keyed.map(\.id)), \(keyed.map(\.workspaceID)), \(keyed.map(\.type)),
                        \(keyed.compactMap(\.uniqueKey))) AS given (id, workspace_id, job_type, unique_key)
            JOIN public.jobs ON jobs.workspace_id = given.workspace_id AND jobs.job_type = given.job_type
                AND jobs.unique_key = given.unique_key AND jobs.status IN ('pending', 'blocked', 'processing')
            """)
        var held: [UUID: EnqueuedJob] = [:]
        for row in rows {
            held[try row.decode("asked")] = EnqueuedJob(id: try row.decode("held"), isDuplicate: true)
        }
        return held
    }
}

/// What many jobs have in common: all but the id and the payload. Then it is sent once, and as nobody holds a key of
/// theirs no conflict is provided for, which is a tenth of the server's time.
private struct Alike {
    private let one: NewJob

    /// - Returns: `nil` where the jobs differ, or have unique keys.
    init?(_ jobs: [NewJob]) {
        guard let one = jobs.first, jobs.allSatisfy({ Alike.common($0, one) }) else { return nil }
        self.one = one
    }

    private static func common(_ job: NewJob, _ other: NewJob) -> Bool {
        job.uniqueKey == nil && job.workspaceID == other.workspaceID && job.type == other.type
            && job.queue == other.queue && job.priority == other.priority && job.scheduledFor == other.scheduledFor
            && job.maxAttempts == other.maxAttempts && job.timeout == other.timeout && job.createdBy == other.createdBy
    }

    func insertion(of jobs: [NewJob]) -> Statement {
        """
        /* jobworker:enqueue.alike */
        INSERT INTO public.jobs (id, workspace_id, job_type, job_queue, payload, priority, scheduled_for,
                                 max_attempts, timeout_seconds, created_by)
        SELECT given.id, \(one.workspaceID), \(one.type), \(one.queue), given.payload, \(one.priority.rawValue),
               \(one.scheduledFor), \(one.maxAttempts), \(one.timeout.map { Int($0.components.seconds) }),
               \(one.createdBy)
        FROM unnest(\(jobs.map(\.id)), \(jobs.map(\.payload))) AS given (id, payload)
        """
    }
}
