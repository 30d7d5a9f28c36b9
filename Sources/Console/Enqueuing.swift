package import FoundationEssentials
package import JobWorker
import Postgres

/// Adds jobs for a person.
@MainActor
package struct Enqueuing {
    /// What became of a file.
    package struct Tally: Sendable, Equatable {
        package var added = 0
        package var duplicates = 0
    }

    private let store: JobStore
    private let requester: Requester?

    /// - Parameter requester: On whose behalf; `nil` leaves no audit.
    package init(_ store: JobStore, by requester: Requester? = nil) {
        self.store = store
        self.requester = requester
    }

    /// Adds them, all or none. Tries again where it is unknown whether it did: the ids make that safe.
    /// - Throws: `Complaint` where a workspace or user is missing; `PostgresError`.
    package func add(_ jobs: [NewJob], after delay: Duration? = nil) async throws -> [EnqueuedJob] {
        var jobs = jobs
        if let delay {
            let due = try await store.now().advanced(by: delay)
            for index in jobs.indices where jobs[index].scheduledFor == nil { jobs[index].scheduledFor = due }
        }
        var isUnknown = false
        for _ in 0..<20 {
            do throws(PostgresError) {
                return try await store.enqueue(jobs, by: requester)
            } catch {
                if error.sqlState == "23503" { throw missing(error, jobs) }
                // Once it is unknown, a server that is away is worth waiting for.
                isUnknown = isUnknown || error.reason == .connectionLost
                guard isUnknown, error.isTransient else { throw error }
            }
            try await Task.sleep(for: .milliseconds(500))
        }
        return try await store.enqueue(jobs, by: requester)
    }

    /// Adds one that waits for others.
    /// - Throws: `WorkflowRefusal`, also where one of those isn't there; `PostgresError`.
    package func add(_ job: NewJob, behind parents: [UUID], after delay: Duration?) async throws -> EnqueuedJob {
        var due = job.scheduledFor
        if let delay { due = try await store.now().advanced(by: delay) }
        let linked = LinkedJob(
            type: job.type, payload: job.payload, after: parents.map(\.text), queue: job.queue, priority: job.priority,
            scheduledFor: due, maxAttempts: job.maxAttempts, timeout: job.timeout, uniqueKey: job.uniqueKey)
        guard let id = try await store.add([linked], in: job.workspaceID, by: requester).first else {
            throw Complaint(.failed, "the database added no job")
        }
        return EnqueuedJob(id: id, isDuplicate: false)
    }

    /// Adds the jobs of a file in batches.
    /// - Parameter report: Called with each batch that was added.
    /// - Throws: `Complaint`, which says what was added before.
    package func add(
        _ file: JobFile, after delay: Duration?, report: ([EnqueuedJob]) -> Void
    ) async throws -> Tally {
        try file.check()
        var tally = Tally()
        var lastLine = 0
        do {
            try await file.read { jobs, line in
                let added = try await add(jobs, after: delay)
                tally.duplicates += added.count(where: \.isDuplicate)
                tally.added += added.count(where: { !$0.isDuplicate })
                lastLine = line
                report(added)
            }
        } catch {
            guard lastLine > 0 else { throw error }
            let complaint = Complaint(error)
            throw Complaint(
                complaint.status, complaint.message,
                advice: "Everything up to line \(lastLine) was added, nothing after it. "
                    + "To go on with the rest: tail -n +\(lastLine + 1) FILE | jobworker enqueue --batch -")
        }
        return tally
    }

    private func missing(_ error: PostgresError, _ jobs: [NewJob]) -> Complaint {
        if error.constraint?.contains("created_by") == true { return Complaint(.notFound, "created_by names no user") }
        let workspaces = Set(jobs.map(\.workspaceID))
        if workspaces.count == 1, let workspace = workspaces.first {
            return Complaint(.notFound, "there is no workspace \(workspace.text)")
        }
        return Complaint(.notFound, "one of the workspaces doesn't exist")
    }
}
