package import FoundationEssentials
package import JobWorker
import Postgres

/// Rows in any state; a test names only what matters to it. Ages and waits count from the database's clock.
extension TestDatabase {
    /// Adds a job.
    /// - Parameters:
    ///   - workspace: `nil` for a row without one.
    ///   - createdAgo: Pending jobs are due since then.
    ///   - isLeased: Whether a worker of ours holds it; by default when it is `processing`. Then it has
    ///     a token, and `workerID`, `startedAgo` and `heartbeatAge` have values.
    @discardableResult
    package func insertJob(
        _ type: String = "noop", status: JobStatus = .pending, workspace: UUID? = TestDatabase.workspace,
        queue: String? = "default", priority: Int? = 0, payload: String = "{}", createdAgo: Duration = .seconds(1),
        scheduledIn: Duration? = nil, retryIn: Duration? = nil, attempts: Int? = nil, maxAttempts: Int? = 5,
        timeout: Duration? = nil, uniqueKey: String? = nil, isLeased: Bool? = nil, workerID: String? = nil,
        startedAgo: Duration? = nil, heartbeatAge: Duration? = nil, workerDeaths: Int = 0, snoozedFor: Duration? = nil,
        errorMessage: String? = nil, result: String? = nil, finishedAgo: Duration? = nil
    ) async throws -> UUID {
        let isLeased = isLeased ?? (status == .processing)
        let finished = finishedAgo ?? (status.isFinal ? .zero : nil)
        let timeoutSeconds = timeout.map { Int($0.components.seconds) }
        let id = UUID()
        try await query(
            """
            INSERT INTO public.jobs (id, workspace_id, job_type, job_queue, payload, status, priority, attempts,
                max_attempts, timeout_seconds, unique_key, created_at, scheduled_for, next_retry_at, started_at,
                completed_at, failed_at, worker_id, worker_heartbeat_at, lease_token, lease_open, worker_deaths,
                snoozed_since, error_message, result)
            VALUES (\(id), \(workspace), \(type), \(queue), \(JSONText(payload)), \(status.rawValue), \(priority),
                \(attempts ?? (status == .processing ? 1 : 0)), \(maxAttempts), \(timeoutSeconds), \(uniqueKey),
                now() - \(createdAgo), now() + \(scheduledIn), now() + \(retryIn),
                now() - \(startedAgo ?? (isLeased ? .zero : nil)),
                now() - \(finished), now() - \(status == .failed || status == .deadLetter ? finished : nil),
                \(workerID ?? (isLeased ? "test-worker" : nil)), now() - \(heartbeatAge ?? (isLeased ? .zero : nil)),
                CASE WHEN \(isLeased) THEN nextval('jobworker.lease_tokens') END, \(isLeased), \(workerDeaths),
                now() - \(snoozedFor), \(errorMessage), \(result.map { JSONText($0) }))
            """)
        return id
    }

    /// The claim of a job made with `isLeased`.
    package func claim(of job: UUID) async throws -> Claim {
        guard let token = try await self.job(job).leaseToken else { throw MissingRow(id: job) }
        return Claim(jobID: job, token: token)
    }

    @discardableResult
    package func insertWorkspace(
        _ name: String = "Another", owner: UUID? = nil, status: String = "active"
    ) async throws -> UUID {
        let id = UUID()
        try await query(
            """
            INSERT INTO public.workspaces (id, name, slug, owner_id, status)
            VALUES (\(id), \(name), \(id.text), \(owner), \(status))
            """)
        return id
    }

    package func insertUser() async throws -> UUID {
        let id = UUID()
        try await query("INSERT INTO auth.users (id, email) VALUES (\(id), \(id.text + "@example.com"))")
        return id
    }

    /// Adds a user who is a member of a workspace.
    package func insertMember(
        of workspace: UUID = TestDatabase.workspace, role: String = "sdr", status: String = "active"
    ) async throws -> UUID {
        let user = try await insertUser()
        try await query(
            """
            INSERT INTO public.workspace_members (workspace_id, user_id, role, status)
            VALUES (\(workspace), \(user), \(role), \(status))
            """)
        return user
    }

    @discardableResult
    package func insertAccount(
        _ name: String = "Example", domain: String? = "example.com", workspace: UUID = TestDatabase.workspace
    ) async throws -> UUID {
        let id = UUID()
        try await query(
            """
            INSERT INTO public.accounts (id, workspace_id, name, domain)
            VALUES (\(id), \(workspace), \(name), \(domain))
            """)
        return id
    }

    @discardableResult
    package func insertContact(
        _ fullName: String = "Kim Example", email: String? = "kim@example.com", linkedIn: String? = nil,
        account: UUID? = nil, workspace: UUID = TestDatabase.workspace
    ) async throws -> UUID {
        let id = UUID()
        try await query(
            """
            INSERT INTO public.contacts (id, workspace_id, account_id, full_name, email, linkedin_url)
            VALUES (\(id), \(workspace), \(account), \(fullName), \(email), \(linkedIn))
            """)
        return id
    }
}
