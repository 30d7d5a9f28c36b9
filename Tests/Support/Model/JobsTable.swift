package import JobWorker

/// A model of the table `jobs`: the statements of `JobStore` as plain functions, each a transition at one moment of the
/// database's clock. What the worker's statements don't look at is left out.
///
/// `ModelTests` runs the same histories through it and through PostgreSQL.
package struct JobsTable: Sendable {
    /// Milliseconds by the database's clock.
    package typealias Time = Int

    package struct Row: Sendable, Hashable {
        package var status = JobStatus.pending
        package var priority = 0
        package var attempts = 0
        package var maxAttempts = 5
        package var createdAt: Time
        package var scheduledFor: Time?
        package var nextRetryAt: Time?
        package var startedAt: Time?
        package var completedAt: Time?
        package var failedAt: Time?
        package var workerID: String?
        package var heartbeatAt: Time?
        package var leaseToken: Int64?
        package var leaseIsOpen = false
        package var workerDeaths = 0
        package var snoozedSince: Time?

        package init(createdAt: Time) { self.createdAt = createdAt }

        package var dueAt: Time { max(createdAt, scheduledFor ?? createdAt, nextRetryAt ?? createdAt) }
    }

    /// A row of `job_workers`.
    package struct Worker: Sendable {
        package let id: String
        package let instance: String

        package init(id: String, instance: String) {
            self.id = id
            self.instance = instance
        }
    }

    /// A claim as the model names it: jobs are numbers here.
    package struct Held: Sendable, Hashable {
        package let job: Int
        package let token: Int64

        package init(job: Int, token: Int64) {
            self.job = job
            self.token = token
        }
    }

    /// By the job's number; `nil` where it isn't there.
    package private(set) var rows: [Row?] = []
    /// In the order in which they began.
    package private(set) var workers: [Worker] = []
    /// Of the sequence `jobworker.lease_tokens`.
    private var lastToken: Int64 = 0

    package init() {}

    package subscript(job: Int) -> Row? {
        get { job < rows.count ? rows[job] : nil }
        set {
            while rows.count <= job { rows.append(nil) }
            rows[job] = newValue
        }
    }

    mutating func nextToken() -> Int64 {
        lastToken += 1
        return lastToken
    }

    /// The row of a run that may still write.
    func isRunning(_ held: Held) -> Bool {
        guard let row = self[held.job] else { return false }
        return row.leaseToken == held.token && row.status == .processing
    }

    /// `presence` of `/* jobworker:poll */`.
    package mutating func beat(_ worker: Worker) {
        if !workers.contains(where: { $0.id == worker.id }) { workers.append(worker) }
    }

    /// `/* jobworker:register */`.
    package mutating func register(_ worker: Worker) {
        workers.removeAll { $0.id == worker.id }
        workers.append(worker)
    }
}
