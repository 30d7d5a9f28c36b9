import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// The application cancels and retries by plain UPDATE; everything else is refused.
@Suite(.database()) struct PlainUpdateTests {
    let database = TestDatabase.current

    @Test func `a plain UPDATE cancels`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(status: .processing)
        let update: Statement = "UPDATE public.jobs SET status = 'cancelled', completed_at = now() WHERE id = \(id)"
        #expect(try await tenants.attempt(update, as: tenants.member) == .rows(1))
        #expect(try await database.job(id).status == "cancelled")
        #expect(try await database.count("action = 'job.cancel'", of: "public.job_audit") == 1)
    }

    @Test func `a plain UPDATE retries, and what else was sent is overwritten`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(status: .failed, attempts: 5, errorMessage: "broken", result: "1")
        let update: Statement =
            """
            UPDATE public.jobs SET status = 'pending', attempts = 4, error_message = 'forged', result = '{"forged": true}',
                progress = '{"percentage": 99}', next_retry_at = now() + interval '1 year'
            WHERE id = \(id)
            """
        #expect(try await tenants.attempt(update, as: tenants.member) == .rows(1))
        let row = try await database.job(id)
        #expect(row.status == "pending" && row.attempts == 0 && row.errorMessage == nil && row.result == nil)
        #expect(row.progress == "{}" && row.nextRetryAt == nil)
    }

    @Test(arguments: [
        (JobStatus.pending, "status = 'completed'"), (.pending, "status = 'processing'"),
        (.pending, "status = 'dead_letter'"),
        (.processing, "status = 'completed', result = '{}'"), (.processing, "status = 'pending'"),
        (.processing, "progress = '{\"percentage\": 99}'"), (.completed, "status = 'pending'"),
        (.completed, "result = '{\"forged\": true}'"), (.failed, "error_message = 'forged'"),
        (.pending, "attempts = -5"),
        (.blocked, "status = 'pending'"), (.cancelled, "status = 'completed'"), (.pending, "status = NULL"),
        (.failed, "status = 'unheard_of'"),
    ])
    func `any other change is refused`(status: JobStatus, change: String) async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(status: status)
        let update: Statement = "UPDATE public.jobs SET \(sql: change) WHERE id = \(id)"
        for user in [tenants.member, tenants.admin, tenants.owner] {
            #expect(try await tenants.attempt(update, as: user) == .refused("42501"))
        }
    }

    @Test(arguments: [
        "priority = 10", "workspace_id = gen_random_uuid()", "lease_token = 1", "worker_deaths = 0", "payload = '{}'",
        "max_attempts = 1000", "job_type = 'x'", "inserted_by = 'postgres'", "lease_open = false",
        "scheduled_for = now()",
    ])
    func `columns that aren't a member's can't be written at all`(change: String) async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob()
        let update: Statement = "UPDATE public.jobs SET \(sql: change) WHERE id = \(id)"
        #expect(try await tenants.attempt(update, as: tenants.owner) == .refused("42501"))
    }

    @Test func `the worker and the server's own key are not bound by this`() async throws {
        let id = try await database.insertJob(status: .completed)
        let update: Statement = "UPDATE public.jobs SET error_message = 'note' WHERE id = \(id)"
        #expect(try await database.workerPool.query(update).affected == 1)
        let pending: Statement =
            "UPDATE public.jobs SET status = 'pending', attempts = 0 WHERE id = \(try await database.insertJob(status: .failed))"
        #expect(try await database.asRole("service_role") { try $0.execute(pending).affected } == 1)
    }
}
