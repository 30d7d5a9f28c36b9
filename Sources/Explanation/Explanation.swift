package import FoundationEssentials
package import Postgres
package import Terminal

/// Why a job is where it is, and what happens next: made of `JobFacts` alone, for people and for programs.
package struct Explanation: Sendable, Equatable {
    /// How a job stands, finer than its status. The words stay as they are.
    package enum State: String, Sendable, CaseIterable {
        /// Not due yet: its time is to come.
        case scheduled
        /// Waits for its next attempt after a failure.
        case retrying
        /// Put off, as the other side asked to wait.
        case snoozed
        /// Due.
        case waiting
        /// Waits for other jobs.
        case blocked
        case running
        /// Running, but its worker has not been heard of for too long.
        case silent
        /// Cancelled, but its handler hasn't ended yet.
        case cancelling
        case cancelled, completed, failed
        case deadLetter = "dead_letter"
        /// A row that no worker ever takes.
        case unserved
    }

    /// What a reason is about. The words stay as they are.
    package enum Code: String, Sendable, CaseIterable {
        // Not due.
        case scheduled
        case retryDelay = "retry_delay"
        case snoozed
        case dependencies
        // Due, and yet not started.
        case queuePaused = "queue_paused"
        case queueLimit = "queue_limit"
        case jobLimit = "job_limit"
        case rateLimit = "rate_limit"
        case turns, ageing
        case noWorker = "no_worker"
        case typeUnserved = "type_unserved"
        case queueUnserved = "queue_unserved"
        case unservedTogether = "unserved_together"
        case operatorsOnly = "operators_only"
        case slotsBusy = "slots_busy"
        case jobsAhead = "jobs_ahead"
        case suspect
        case earlierRun = "earlier_run"
        case nothing
        // What will go wrong once it starts.
        case workspaceInactive = "workspace_inactive"
        case keyMissing = "key_missing"
        case keyRefused = "key_refused"
        // Running.
        case running, heartbeat, deadline
        case silentWorker = "silent_worker"
        case runByOthers = "run_by_others"
        // Ended.
        case lastFailure = "last_failure"
        case attemptsUsedUp = "attempts_used_up"
        case permanentError = "permanent_error"
        case poison
        case timeout
        case setAside = "set_aside"
        case cancelled, completed
        case retriedByHand = "retried_by_hand"
        // Where it comes from.
        case replay
        // Never taken.
        case noWorkspace = "no_workspace"
        case noStatus = "no_status"
        case unknownStatus = "unknown_status"
        case noTime = "no_time"
    }

    package struct Reason: Sendable, Equatable {
        package let code: Code
        /// A sentence or two.
        package let text: String
        /// The same for programs, by names that stay as they are.
        package let details: [Detail]
    }

    package struct Detail: Sendable, Equatable {
        package enum Value: Sendable, Equatable {
            case text(String)
            case whole(Int)
            case time(Timestamp)
            case flag(Bool)
        }

        package let name: String
        package let value: Value
    }

    /// What happens next by itself, or has to be done by somebody.
    package struct Next: Sendable, Equatable {
        package enum What: String, Sendable, CaseIterable {
            /// A worker starts it.
            case start
            /// Somebody has to resume the queue.
            case resumeQueue = "resume_queue"
            /// Somebody has to start a worker, or let one serve type or queue.
            case addWorker = "add_worker"
            /// Other jobs have to end first.
            case parents
            /// The attempt ends, or is stopped.
            case end
            /// Any worker takes it back.
            case takenBack = "taken_back"
            /// Nothing, unless somebody retries or replays it.
            case retryByHand = "retry_by_hand"
            /// Nothing, unless somebody repairs the row.
            case repair
            case nothing
        }

        package let what: What
        package let text: String
        /// `nil` where it has no time that could be known.
        package let at: Timestamp?
    }

    package let id: UUID
    package let type: String
    package let queue: String
    package let status: String?
    package let asOf: Timestamp
    package let state: State
    /// One sentence that says it all.
    package let summary: String
    /// The decisive one first.
    package let reasons: [Reason]
    package let next: Next

    package init(_ facts: JobFacts) {
        let account = Account(facts)
        let parts = account.parts
        id = facts.id
        type = facts.type
        queue = facts.queue
        status = facts.status
        asOf = facts.asOf
        state = parts.state
        summary = parts.summary
        reasons = parts.reasons
        next = parts.next
    }

    /// One object; times in UTC.
    package var json: JSON {
        .object([
            ("job_id", .string(id.text)), ("job_type", .string(type)), ("job_queue", .string(queue)),
            ("status", JSON(status)), ("state", .string(state.rawValue)), ("summary", .string(summary)),
            (
                "reasons",
                .array(
                    reasons.map { reason in
                        .object(
                            [("code", .string(reason.code.rawValue)), ("text", .string(reason.text))]
                                + reason.details.map { ($0.name, $0.json) })
                    })
            ),
            (
                "next",
                .object([
                    ("what", .string(next.what.rawValue)), ("text", .string(next.text)),
                    ("at", next.at.map { .string($0.description) } ?? .null),
                ])
            ),
            ("as_of", .string(asOf.description)),
        ])
    }
}

extension Explanation.Detail {
    fileprivate var json: JSON {
        switch value {
        case .text(let text): .string(text)
        case .whole(let number): .integer(number)
        case .time(let time): .string(time.description)
        case .flag(let flag): .bool(flag)
        }
    }
}
