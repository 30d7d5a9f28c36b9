import FoundationEssentials
package import Postgres

/// Whose jobs a list is about.
package enum JobScope: Sendable, Hashable {
    /// All that the role may read.
    case everything
    /// Those of the workspaces that the role is a member of; the row policies say the same.
    case memberships
    /// Those of the workspaces that the role administers.
    case administered
}

/// Lists are as fast for what nobody finds as for what everybody finds: no filter walks along jobs that it doesn't mean
/// until it meets those that it does. With ten million jobs each takes some milliseconds; what is left is said where it
/// is chosen.
extension JobStore {
    /// Comes before a list in its transaction: the planner would rather gather all jobs of a state or of a large workspace
    /// as a bitmap, read the table where a workspace has much of it, and compile what takes a page's time.
    ///
    /// Only as a bitmap can what has a text be read from `jobs_error_text`, where there is that index.
    package static func listPlanning(of filter: JobFilter, in scope: JobScope = .everything) -> Statement {
        let gathers: Fragment =
            NewestFirst.isByText(filter, in: scope)
            ? "CASE WHEN to_regclass('public.jobs_error_text') IS NULL THEN 'off' ELSE 'on' END" : "'off'"
        return """
            /* jobworker:jobs.plan */
            SELECT set_config('enable_bitmapscan', \(gathers), true), set_config('enable_seqscan', 'off', true),
                   set_config('jit', 'off', true)
            """
    }

    /// What follows SELECT and its columns in a list of jobs; the rows are named `jobs`.
    /// - Parameters:
    ///   - limit: Most rows.
    ///   - offset: Rows left out before. Each costs as much as one that is shown.
    package static func newest(
        _ filter: JobFilter, after cursor: JobCursor? = nil, limit: Int, skipping offset: Int = 0,
        in scope: JobScope = .everything
    ) -> Fragment {
        let list = NewestFirst(filter: filter, cursor: cursor, limit: limit + offset)
        return """
            FROM (\(list.rows(in: scope))) AS jobs
            ORDER BY jobs.created_at DESC, jobs.id DESC
            LIMIT \(limit) OFFSET \(offset)
            """
    }
}

/// The jobs of a list, a few more than it shows, from as many orderly indexes as it takes.
private struct NewestFirst {
    var filter: JobFilter
    let cursor: JobCursor?
    let limit: Int

    /// An index in order gives the newest of one value: of a state, or of a type, queue and priority together. Of each
    /// value that there is the newest are taken, and the newest of these are the newest of all.
    func rows(in scope: JobScope) -> Fragment {
        let workspaces: Fragment? =
            switch scope {
            case .everything: nil
            case .memberships: "jobworker.my_workspaces()"
            case .administered: "jobworker.my_admin_workspaces()"
            }
        if let search = filter.search, !JobFilter.isWide(search) { return matching(search, of: workspaces) }
        if filter.errorGroup != nil {
            // What `jobs_error_group` has, in order.
            let isDead: Fragment = "jobs.status IN ('failed', 'dead_letter')"
            return workspaces.map { each(of: $0, isDead) } ?? newest("\(isDead) AND \(filter.condition)")
        }
        if let workspaces { return each(of: workspaces) }
        // `jobs_workspace_newest`, `jobs_workspace_out_of_the_ordinary`; `jobs_keyed`.
        if filter.workspaceID != nil || filter.uniqueKey != nil { return newest(filter.condition) }
        let isRare = !filter.statuses.isEmpty && Self.rare.union([.processing]).isSuperset(of: filter.statuses)
        if isOfKind && !isRare { return ofKinds }
        return filter.workerID != nil && filter.statuses.isEmpty ? ofWorker : ofStates
    }

    private var isOfKind: Bool { !filter.types.isEmpty || !filter.queues.isEmpty || filter.priority != nil }

    /// What `jobs_workspace_out_of_the_ordinary` has.
    private static let rare: Set<JobStatus> = [.failed, .deadLetter, .cancelled, .blocked]

    /// The newest that hold to a condition, as the planner likes to find them.
    private func newest(_ condition: Fragment) -> Fragment {
        """
        SELECT jobs.* FROM public.jobs
        WHERE \(condition) AND \(cursor?.condition ?? "true")
        ORDER BY jobs.created_at DESC, jobs.id DESC LIMIT \(limit)
        """
    }

    /// Workspace by workspace with `jobs_workspace_newest`: nobody walks along other people's jobs.
    ///
    /// With a type the planner may take `jobs_by_kind`, where a type that is rare everywhere is found at once; what waits
    /// then comes from `jobs_by_state`.
    private func each(of workspaces: Fragment) -> Fragment {
        guard !filter.types.isEmpty else { return each(of: workspaces, "true") }
        let own: Fragment = "jobs.workspace_id = ANY (ARRAY(SELECT mine.id FROM \(workspaces) AS mine (id)))"
        return """
            \(each(of: workspaces, Self.hasKind))
            UNION ALL (\(newest("\(Self.hasState) AND jobs.status = 'pending' AND \(own) AND \(filter.condition)")))
            UNION ALL (\(newest("jobs.status = 'processing' AND \(own) AND \(filter.condition)")))
            """
    }

    private func each(of workspaces: Fragment, _ part: Fragment) -> Fragment {
        // The index of what is rare is in order for one state alone.
        guard filter.statuses.count > 1, Self.rare.isSuperset(of: filter.statuses) else {
            return """
                SELECT found.* FROM \(workspaces) AS mine (id)
                CROSS JOIN LATERAL (\(newest("\(part) AND jobs.workspace_id = mine.id AND \(filter.condition)"))) AS found
                """
        }
        let own: Fragment = "jobs.workspace_id = mine.id AND jobs.status = state.status"
        return """
            SELECT found.* FROM \(workspaces) AS mine (id)
            CROSS JOIN unnest(\(filter.statuses.map(\.rawValue))) AS state (status)
            CROSS JOIN LATERAL (\(newest("\(part) AND \(own) AND \(filter.condition)"))) AS found
            """
    }

    /// Few, and not in the indexes that follow: what runs changes too often. Relies on `jobs_processing`.
    private var running: Fragment { "(\(newest("jobs.status = 'processing' AND \(filter.condition)")))" }

    /// What the planner has to read before it takes `jobs_by_state`, and `jobs_by_kind`.
    private static let hasState = JobFilter.isNotRunning
    private static let hasKind: Fragment = "\(JobFilter.isNotRunning) AND \(JobFilter.isNotWaiting)"

    /// Those that a worker has had with `jobs_by_worker`. With a state or a kind the planner chooses between that and the
    /// index of these.
    private var ofWorker: Fragment {
        "(\(newest("\(Self.hasState) AND \(filter.condition)"))) UNION ALL \(running)"
    }

    /// State by state with `jobs_by_state`; the application may have rows of states that nobody knows, and of none.
    private var ofStates: Fragment {
        let stated = filter.statuses.filter { $0 != .processing }.map(\.rawValue)
        let found: Fragment = """
            (\(newest("\(Self.hasState) AND jobs.status = state.status AND \(filter.condition)"))) AS found
            """
        if !filter.statuses.isEmpty {
            let rest: Fragment = filter.statuses.contains(.processing) ? "UNION ALL \(running)" : ""
            return "SELECT found.* FROM unnest(\(stated)) AS state (status) CROSS JOIN LATERAL \(found) \(rest)"
        }
        return """
            SELECT found.* FROM (
                WITH RECURSIVE state (status) AS (
                    (SELECT jobs.status FROM public.jobs
                     WHERE \(Self.hasState) AND jobs.status IS NOT NULL ORDER BY jobs.status LIMIT 1)
                    UNION ALL
                    SELECT (SELECT jobs.status FROM public.jobs
                            WHERE \(Self.hasState) AND jobs.status > state.status ORDER BY jobs.status LIMIT 1)
                    FROM state WHERE state.status IS NOT NULL
                )
                SELECT state.status FROM state WHERE state.status IS NOT NULL
            ) AS state CROSS JOIN LATERAL \(found)
            UNION ALL (\(newest("\(Self.hasState) AND jobs.status IS NULL AND \(filter.condition)")))
            UNION ALL \(running)
            """
    }

    /// Kind by kind with `jobs_by_kind`. Finding a kind takes some 15 us: a database has tens of them.
    ///
    /// Waiting jobs are not in it, as that would cost a twentieth of the throughput. Among them a kind is looked for along
    /// `jobs_by_state`, which has it too: some 10 ms for each hundred thousand that wait.
    private var ofKinds: Fragment {
        var parts: [Fragment] = []
        let isMeant = { (status: JobStatus) in filter.statuses.isEmpty || filter.statuses.contains(status) }
        if JobStatus.allCases.contains(where: { isMeant($0) && $0 != .pending && $0 != .processing }) {
            parts.append(endedOfKinds)
        }
        if isMeant(.pending) { parts.append(waitingOfKinds) }
        if isMeant(.processing) { parts.append(running) }
        return Fragment.joined(parts, separator: " UNION ALL ")
    }

    /// The state doesn't stand in the text: then the planner can't take `jobs_due`, and sort a whole queue.
    private var waitingOfKinds: Fragment {
        var rest = filter
        rest.statuses = []
        let condition: Fragment = "\(Self.hasState) AND jobs.status = state.status AND \(rest.condition)"
        return """
            SELECT found.* FROM unnest(\([JobStatus.pending.rawValue])) AS state (status)
            CROSS JOIN LATERAL (\(newest(condition))) AS found
            """
    }

    private var endedOfKinds: Fragment {
        let isMeant = Fragment.joined(
            [
                filter.types.isEmpty ? "true" : "kind.type = ANY (\(filter.types))",
                filter.queues.isEmpty ? "true" : "kind.queue = ANY (\(filter.queues))",
                filter.priority.map { "kind.priority = \($0)" } ?? "true",
            ], separator: " AND ")
        var rest = filter
        rest.types = []
        rest.queues = []
        rest.priority = nil
        let kind: Fragment = "jobs.job_type, coalesce(jobs.job_queue, 'default'), coalesce(jobs.priority, 0)"
        let isOfKind: Fragment = """
            jobs.job_type = kind.type AND coalesce(jobs.job_queue, 'default') = kind.queue
            AND coalesce(jobs.priority, 0) = kind.priority
            """
        return """
            SELECT found.* FROM (
                WITH RECURSIVE kind (type, queue, priority) AS (
                    (SELECT \(kind) FROM public.jobs WHERE \(Self.hasKind) ORDER BY 1, 2, 3 LIMIT 1)
                    UNION ALL
                    SELECT following.* FROM kind CROSS JOIN LATERAL (
                        SELECT \(kind) FROM public.jobs
                        WHERE \(Self.hasKind) AND (\(kind)) > (kind.type, kind.queue, kind.priority)
                        ORDER BY 1, 2, 3 LIMIT 1) AS following
                )
                SELECT kind.type, kind.queue, kind.priority FROM kind WHERE \(isMeant)
            ) AS kind
            CROSS JOIN LATERAL (\(newest("\(Self.hasKind) AND \(isOfKind) AND \(rest.condition)"))) AS found
            """
    }

    /// Whether its text is looked for in `jobs_error_text`: it has a group of three characters. Members' policies keep the
    /// planner from an index that it might tell too much about.
    static func isByText(_ filter: JobFilter, in scope: JobScope) -> Bool {
        scope == .everything && filter.search.map { $0.count >= 3 } == true
    }

    /// What many errors have is found among the newest, and too much to gather; for the rest all that have it are gathered.
    /// Row policies keep from the planner how many these are.
    private func soonOrAll(_ isMeant: Fragment) -> Fragment {
        let own: Fragment = filter.workspaceID.map { "jobs.workspace_id = \($0)" } ?? "true"
        return """
            (WITH soon AS MATERIALIZED (
                SELECT jobs.* FROM (
                    SELECT jobs.* FROM public.jobs
                    WHERE jobs.error_message IS NOT NULL AND \(own) AND \(cursor?.condition ?? "true")
                    ORDER BY jobs.created_at DESC, jobs.id DESC LIMIT \(20 * limit)) AS jobs
                WHERE \(isMeant) AND \(filter.condition)
                ORDER BY jobs.created_at DESC, jobs.id DESC LIMIT \(limit)
            )
            SELECT soon.* FROM soon WHERE (SELECT count(*) FROM soon) >= \(limit)
            UNION ALL
            SELECT jobs.* FROM (\(newest("\(isMeant) AND \(filter.condition)"))) AS jobs
            WHERE (SELECT count(*) FROM soon) < \(limit))
            """
    }

    /// By the text of an error, by an id's beginning with `jobs_pkey`. A text that many errors have is found among the newest
    /// of `jobs_with_error`, one that few have with `jobs_error_text`. Members, who can't have that, and texts of one or two
    /// characters, look for it in all errors of `jobs_workspace_with_error`, or `jobs_with_error`: 70 to 350 ms
    /// for a hundred thousand, by how much of the table is in memory.
    /// - Parameter workspaces: `nil` for all.
    private func matching(_ search: String, of workspaces: Fragment?) -> Fragment {
        var rest = self
        rest.filter.search = nil
        let condition = rest.filter.condition
        let isInError = JobFilter.isInError(search)
        func errors(_ isMeant: Fragment) -> Fragment {
            if let workspaces { return rest.each(of: workspaces, isMeant) }
            return Self.isByText(filter, in: .everything)
                ? rest.soonOrAll(isMeant) : newest("\(isMeant) AND \(condition)")
        }
        guard let ids = JobFilter.idRange(search) else { return errors(isInError) }
        let isMeant: Fragment = "jobs.id BETWEEN \(ids.lowerBound) AND \(ids.upperBound)"
        let own: Fragment =
            workspaces.map { "jobs.workspace_id = ANY (ARRAY(SELECT mine.id FROM \($0) AS mine (id)))" } ?? "true"
        return """
            (\(newest("\(isMeant) AND \(own) AND \(condition)")))
            UNION ALL (\(errors("\(isInError) AND NOT (\(isMeant))")))
            """
    }
}
