import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct CancelAndRetryTests {
    let database = TestDatabase.current

    @Test(arguments: [JobStatus.pending, .blocked, .processing])
    func `a member cancels a job that waits or runs, and it is written down`(status: JobStatus) async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(status: status, retryIn: status == .pending ? .seconds(60) : nil)
        #expect(try await tenants.attempt("SELECT * FROM jobworker.cancel_job(\(id))", as: tenants.member) == .rows(1))
        let row = try await database.job(id)
        #expect(row.status == "cancelled" && row.completedAt != nil && row.nextRetryAt == nil)
        // The run goes on until its worker knows.
        #expect(row.leaseIsOpen == (status == .processing))
        #expect(try await database.logs(of: id).map(\.message) == ["Cancelled by a member of the workspace"])
        #expect(
            try await database.count(
                "action = 'job.cancel' AND actor = 'user:\(tenants.member.text)' AND details ->> 'from_status' = '\(status.rawValue)'",
                of: "public.job_audit") == 1)
    }

    @Test func `a cancelled run is told to its worker, a waiting job to nobody`() async throws {
        let tenants = try await Tenants(in: database)
        let running = try await database.insertJob(status: .processing)
        let waiting = try await database.insertJob(scheduledIn: .seconds(60))
        let worker = try await WaitingWorker(in: database)
        for id in [waiting, running] {
            #expect(try await tenants.attempt("SELECT jobworker.cancel_job(\(id))", as: tenants.member) == .rows(1))
        }
        #expect(try await worker.heard() == ["cancel"])
    }

    @Test(arguments: [JobStatus.failed, .deadLetter, .cancelled])
    func `a member retries a job that has ended without success`(status: JobStatus) async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(
            status: status, scheduledIn: .seconds(600), attempts: 5, workerDeaths: 2, errorMessage: "broken",
            result: "1")
        let worker = try await WaitingWorker(in: database)
        #expect(try await tenants.attempt("SELECT jobworker.retry_job(\(id))", as: tenants.member) == .rows(1))
        let row = try await database.job(id)
        #expect(row.status == "pending" && row.attempts == 0 && row.errorMessage == nil && row.result == nil)
        #expect(row.completedAt == nil && row.failedAt == nil && row.workerDeaths == 0)
        #expect(try await database.store().claim(.test()).map(\.job.id) == [id])
        #expect(try await worker.heard() == ["default"])
        #expect(try await database.count("action = 'job.retry'", of: "public.job_audit") == 1)
    }

    @Test func `a job that waits for its delay is due at once, its attempts kept`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(retryIn: .seconds(480), attempts: 4, errorMessage: "broken")
        #expect(try await tenants.attempt("SELECT jobworker.retry_job(\(id))", as: tenants.member) == .rows(1))
        let row = try await database.job(id)
        #expect(row.attempts == 4 && row.nextRetryAt == nil && row.errorMessage == "broken")
    }

    @Test func `a retried job whose cancelled run goes on is claimed only after that run's end`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(status: .processing)
        let claim = try await database.claim(of: id)
        _ = try await tenants.attempt("SELECT jobworker.cancel_job(\(id))", as: tenants.member)
        _ = try await tenants.attempt("SELECT jobworker.retry_job(\(id))", as: tenants.member)
        #expect(try await database.job(id).status == "pending")
        #expect(try await database.store().claim(.test()).isEmpty)
        try await database.store().endRuns([claim])
        #expect(try await database.store().claim(.test()).map(\.job.id) == [id])
    }

    @Test(arguments: [
        (JobStatus.completed, "cancel_job"), (.failed, "cancel_job"), (.cancelled, "cancel_job"),
        (.deadLetter, "cancel_job"),
        (.completed, "retry_job"), (.processing, "retry_job"), (.blocked, "retry_job"),
    ])
    func `what a state doesn't allow is refused with JW409`(status: JobStatus, function: String) async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(status: status)
        let statement: Statement = "SELECT jobworker.\(sql: function)(\(id))"
        #expect(try await tenants.attempt(statement, as: tenants.member) == .refused("JW409"))
        #expect(try await database.job(id).status == status.rawValue)
    }

    @Test func `a retry that meets another active job with its key is refused with JW409`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(status: .failed, uniqueKey: "k")
        try await database.insertJob(uniqueKey: "k")
        #expect(try await tenants.attempt("SELECT jobworker.retry_job(\(id))", as: tenants.member) == .refused("JW409"))
    }

    @Test(arguments: ["cancel_job", "retry_job"])
    func `a job that isn't the caller's doesn't exist for the caller`(function: String) async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(status: function == "cancel_job" ? .pending : .failed)
        let statement: Statement = "SELECT jobworker.\(sql: function)(\(id))"
        for user in [tenants.stranger, nil] {
            #expect(try await tenants.attempt(statement, as: user) == .refused("P0002"))
        }
        let nowhere: Statement = "SELECT jobworker.\(sql: function)(\(UUID()))"
        #expect(try await tenants.attempt(nowhere, as: tenants.member) == .refused("P0002"))
    }

    @Test func `a retry of a dead letter settles it`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(status: .deadLetter)
        try await database.query(
            "INSERT INTO public.dead_letter_queue (workspace_id, job_id, job_type) VALUES (\(tenants.mine), \(id), 'noop')"
        )
        #expect(try await tenants.attempt("SELECT jobworker.retry_job(\(id))", as: tenants.member) == .rows(1))
        #expect(
            try await database.count(
                "status = 'resolved' AND resolved_by = '\(tenants.member.text)' AND resolved_at IS NOT NULL",
                of: "public.dead_letter_queue") == 1)
    }
}
