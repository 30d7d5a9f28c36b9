package import FoundationEssentials
package import JobWorker
package import Postgres

/// What is known, at one moment, of a job and of all that decides over it. `Explanation` puts it into sentences.
package struct JobFacts: Sendable, Equatable {
    /// Who reads the explanation.
    package enum Audience: Sendable {
        /// May know everything.
        case operators
        /// A member of the job's workspace. What belongs to the site or to other workspaces is left out of the facts:
        /// names of operators, workers and hosts, limits, and every count that others are part of.
        case members
    }

    package var audience: Audience
    /// The database's clock.
    package let asOf: Timestamp

    // The row.
    package let id: UUID
    package var workspaceID: UUID?
    package var type: String
    package var queue = "default"
    /// As stored.
    package var status: String?
    package var attempts = 0
    package var maxAttempts = 5
    package var scheduledFor: Timestamp?
    package var nextRetryAt: Timestamp?
    /// The latest of created, scheduled and next retry; `nil` for a row without any time.
    package var dueAt: Timestamp?
    package var startedAt: Timestamp?
    package var completedAt: Timestamp?
    package var failedAt: Timestamp?
    package var workerID: String?
    package var heartbeatAt: Timestamp?
    /// The time limit of its own.
    package var timeout: Duration?
    /// Whether a worker of this program ever claimed it.
    package var hasLease = false
    /// Whether a run of it hasn't ended yet.
    package var leaseIsOpen = false
    package var snoozedSince: Timestamp?
    package var workerDeaths = 0
    package var errorMessage: String?
    /// The job that it is a replay of.
    package var replayOf: Origin?
    /// It was set aside at once when it had failed, as its queue has it.
    package var isSetAsideByQueue = false
    /// The role that added it.
    package var insertedBy: String?

    // What is around it.
    package var pause: Pause?
    package var limit: Limit?
    package var rules = Rules()
    /// Limits that hold it back now.
    package var exhausted: [ExhaustedLimit] = []
    package var workers = Workers()
    package var ahead = Ahead()
    /// The process that is named in the row.
    package var holder: Holder?
    package var parents = Parents()
    package var workspace: Workspace?
    /// The last cancel, retry or setting aside by a person, as far as the reader may see it.
    package var lastChange: Change?

    /// After such a silence a running job is taken back.
    package var staleAfter: Duration = .seconds(120)
    /// The time limit of jobs without one of their own.
    package var usualTimeout: Duration = .seconds(900)

    /// A job that this one was made from.
    package struct Origin: Sendable, Equatable {
        package var id: UUID
        /// `nil` where it is gone, or has none.
        package var status: String?
    }

    /// A queue that was paused.
    package struct Pause: Sendable, Equatable {
        package var since: Timestamp
        package var by: String?
    }

    /// A queue whose jobs may run in this number at once, over all workers.
    package struct Limit: Sendable, Equatable {
        /// `nil` where it isn't for the reader to know.
        package var most: Int?
        package var isReached: Bool
        /// Ids of jobs that run in it, the oldest first; a few.
        package var holders: [String] = []
    }

    /// The live workers. For members no number is more than 1.
    package struct Workers: Sendable, Equatable {
        package var alive = 0
        package var servingType = 0
        package var servingQueue = 0
        /// Type and queue.
        package var serving = 0
        /// Of those that serve it.
        package var slots = 0
        package var busy = 0
        /// How many of those that serve it take the type from operators alone.
        package var refusingMembers = 0
    }

    /// Jobs of its queue that are due and come before it; for members, those of its workspace.
    package struct Ahead: Sendable, Equatable {
        package var count = 0
        /// Whether there may be more than were counted.
        package var isAtLeast = false
    }

    package struct Holder: Sendable, Equatable {
        package var host: String
        package var hasStopped = false
    }

    /// The jobs it waits for.
    package struct Parents: Sendable, Equatable {
        package var count = 0
        /// Those that haven't completed, in part.
        package var open: [Parent] = []
        package var openCount = 0
    }

    package struct Parent: Sendable, Equatable {
        package var id: UUID
        package var type: String
        package var status: String?
        /// What its failure means for the job that waits: `cancel` or `run`.
        package var onFailure: String
    }

    /// What decides, before it starts, whether an enrichment job has a chance; only known of these.
    package struct Workspace: Sendable, Equatable {
        package var status: String?
        package var hasKey: Bool
        /// Until then Apollo isn't asked, as it refused the key.
        package var refusedUntil: Timestamp?
    }

    package struct Change: Sendable, Equatable {
        package var action: String
        package var actor: String
        package var at: Timestamp
        package var reason: String?
    }

    package init(_ audience: Audience, id: UUID, type: String, status: String?, asOf: Timestamp) {
        self.audience = audience
        self.id = id
        self.type = type
        self.status = status
        self.asOf = asOf
    }
}

extension JobFacts {
    package var known: JobStatus? { status.flatMap { JobStatus(rawValue: $0) } }
    package var isDue: Bool { dueAt.map { $0 <= asOf } ?? false }
    /// How long nothing was heard of its run.
    var silence: Duration? { heartbeatAt.map { asOf.duration(since: $0) } }
    /// From then on it is taken back, if nothing is heard of its run.
    var staleAt: Timestamp? { heartbeatAt?.advanced(by: staleAfter) }
    /// When its attempt is stopped.
    var deadline: Timestamp? { startedAt?.advanced(by: timeout ?? usualTimeout) }
}
