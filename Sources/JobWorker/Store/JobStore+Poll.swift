import FoundationEssentials
package import Postgres

/// What the timer's look found.
package struct PollAnswer: Sendable {
    package let claimed: [ClaimedJob]
    /// Those that hold pending jobs, due or not, as they were before the claim.
    package let lanes: [ClaimRequest.Lane]
    /// Queues that only the careful claim may take jobs from; `*` stands for all.
    package let ruledQueues: Set<String>
    package let takenBack: TakenBack
    package var reaped: Int { takenBack.count }
    package let now: Timestamp
    package let serverStartedAt: Timestamp
    /// When the next schedule is due; the least of all times where one waits to be looked at, `nil` where there is none.
    package let nextSchedule: Timestamp?
    /// When the next job of the lanes is due that wasn't yet.
    package let nextDue: Timestamp?
    /// When the next delivery of a webhook is due; `nil` where there is none.
    package let nextDelivery: Timestamp?
    /// Children of ended parents wait to be looked at again: see `settleBacklog`.
    package let hasBacklog: Bool
    /// Whether an operation on many jobs waits for its next step.
    package let hasOperations: Bool
    /// Whether nobody has looked for what to alert to for the time between two looks.
    package let isAlertLookDue: Bool
    /// The rules by which alerts are open.
    package let openAlerts: [String]
}

extension JobStore {
    /// The timer's look at everything, all in one statement: says that this worker lives, takes back jobs whose worker
    /// fell silent, claims, and asks which schedule, which delivery and which job are next.
    /// - Parameters:
    ///   - attention: Stays known as waiting for wake-ups; `nil` where it isn't.
    ///   - alertInterval: Between two looks for what to alert to.
    package func poll(
        _ request: ClaimRequest, presence: WorkerPresence, attention: Attention? = nil, reaping: ReapRequest,
        alertInterval: Duration = AlertRules().interval
    ) async throws(PostgresError) -> PollAnswer {
        let attending =
            attention.map { attention in
                """
                attending AS (
                    \(attention.insertion)
                ),
                """ as Fragment
            } ?? ""
        let rows = try await pool.query(
            """
            /* jobworker:poll */
            WITH RECURSIVE \(presence.beating),
            \(attending)
            \(takingBack(reaping)),
            \(claiming(request))
            SELECT taken.reaped, taken.poisoned, clock_timestamp() AS database_time,
                   pg_postmaster_start_time() AS server_started_at,
                   \(JobStore.laneColumns), \(JobStore.ruledQueues) AS ruled_queues,
                   \(JobStore.nextSchedule) AS next_schedule, \(JobStore.nextDelivery) AS next_delivery,
                   \(JobStore.nextDue) AS next_due,
                   EXISTS (SELECT FROM jobworker.dependency_backlog) AS has_backlog,
                   EXISTS (SELECT FROM public.job_operations WHERE state = 'running') AS has_operations,
                   \(JobStore.isAlertLookDue(after: alertInterval)) AS is_alert_look_due,
                   \(JobStore.openAlertRules) AS open_alerts,
                   claimed_jobs.*
            FROM (\(JobStore.takenBack)) AS taken
            LEFT JOIN claimed_jobs ON true
            """)
        guard let first = rows.first else {
            throw PostgresError(.malformed, operation: "jobworker:poll", message: "the statement gave no row")
        }
        let isEmpty = try first.decodeIfPresent("id", as: UUID.self) == nil
        return PollAnswer(
            claimed: isEmpty ? [] : try JobStore.claimedJobs(rows),
            lanes: try JobStore.lanes(first),
            ruledQueues: Set(try first.decode("ruled_queues", as: [String].self)),
            takenBack: try TakenBack(first), now: try first.decode("database_time"),
            serverStartedAt: try first.decode("server_started_at"),
            // What else is amiss, claimed jobs must run.
            nextSchedule: JobStore.nextTime(first, "next_schedule"),
            nextDue: JobStore.nextTime(first, "next_due", unreadable: nil),
            nextDelivery: JobStore.nextTime(first, "next_delivery"), hasBacklog: try first.decode("has_backlog"),
            hasOperations: try first.decode("has_operations"),
            isAlertLookDue: try first.decode("is_alert_look_due"), openAlerts: try first.decode("open_alerts"))
    }
}
