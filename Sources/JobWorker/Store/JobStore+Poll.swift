import FoundationEssentials
package import Postgres

/// What the timer's look found.
package struct PollAnswer: Sendable {
    package let claimed: [ClaimedJob]
    /// Those that hold pending jobs, due or not, as they were before the claim.
    package let lanes: [ClaimRequest.Lane]
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
}

extension JobStore {
    /// The timer's look at everything, all in one statement: says that this worker lives, takes back jobs whose worker
    /// fell silent, claims, and asks which schedule, which delivery and which job are next.
    /// - Parameter attention: Stays known as waiting for wake-ups; `nil` where it isn't.
    package func poll(
        _ request: ClaimRequest, presence: WorkerPresence, attention: Attention? = nil, reaping: ReapRequest
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
                   \(JobStore.laneColumns),
                   \(JobStore.nextSchedule) AS next_schedule, \(JobStore.nextDelivery) AS next_delivery,
                   \(JobStore.nextDue) AS next_due, claimed_jobs.*
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
            takenBack: try TakenBack(first), now: try first.decode("database_time"),
            serverStartedAt: try first.decode("server_started_at"),
            // What else is amiss, claimed jobs must run.
            nextSchedule: JobStore.nextTime(first, "next_schedule"), nextDue: JobStore.nextTime(first, "next_due"),
            nextDelivery: JobStore.nextTime(first, "next_delivery"))
    }
}
