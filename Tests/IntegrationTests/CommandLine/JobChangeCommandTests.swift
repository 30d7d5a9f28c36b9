import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct JobChangeCommandTests {
    let database = TestDatabase.current

    private func jobs(_ arguments: String...) async throws -> CommandRun {
        try await CommandRun.of(arguments: ["jobs"] + arguments, database: database)
    }

    @Test func `a person's change stands in the audit and in the job's log`() async throws {
        let id = try await database.insertJob()
        #expect(try await jobs("cancel", id.text).status == 0)
        #expect(try await database.job(id).status == "cancelled")
        #expect(try await jobs("retry", id.text).status == 0)
        #expect(try await database.job(id).status == "pending")
        #expect(try await jobs("cancel", id.text).status == 0)
        #expect(try await jobs("delete", id.text).status == 0)
        #expect(try await database.count("true") == 0)
        let audit = try await database.query(
            "SELECT action, actor, via, workspace_id FROM public.job_audit ORDER BY id")
        let actions = try audit.map { try $0.decode("action", as: String.self) }
        #expect(actions == ["job.cancel", "job.retry", "job.cancel", "job.delete"])
        for row in audit {
            #expect(try row.decode("via") == "cli")
            #expect(try row.decode("actor", as: String.self).hasPrefix("operator:"))
            #expect(try row.decode("workspace_id") == TestDatabase.workspace)
        }
    }

    @Test func `a state that doesn't allow it is 1 and changes nothing`() async throws {
        let running = try await database.insertJob(status: .processing)
        let run = try await jobs("delete", running.text)
        #expect(run.status == 1 && run.error.contains("is processing and can't be deleted"))
        let done = try await database.insertJob(status: .completed)
        #expect(try await jobs("cancel", done.text).status == 1)
        #expect(try await jobs("retry", done.text).status == 1)
        #expect(try await database.count("status = 'completed'") == 1)
    }

    @Test func `a cancelled job whose run hasn't ended isn't deleted`() async throws {
        let id = try await database.insertJob(status: .cancelled, isLeased: true)
        let run = try await jobs("delete", id.text)
        #expect(run.status == 1 && run.error.contains("its run hasn't ended yet"))
        #expect(try await database.count("true") == 1)
    }

    @Test func `of several jobs those that can be are changed`() async throws {
        let waiting = try await database.insertJob()
        let done = try await database.insertJob(status: .completed)
        let run = try await jobs("cancel", done.text, waiting.text, UUID().text)
        #expect(run.status == 1 && run.output == "\(waiting.text)  cancelled\n")
        #expect(run.error.split(separator: "\n").count == 2)
    }

    @Test func `many are changed only when somebody says yes`() async throws {
        for _ in 0..<3 { try await database.insertJob("report") }
        let other = try await database.insertJob("noop")
        let refused = try await jobs("cancel", "--type", "report")
        #expect(refused.status == 64 && refused.error.contains("--yes"))
        #expect(try await database.count("status = 'pending'") == 4)
        let run = try await jobs("cancel", "--type", "report", "--yes", "--json")
        #expect(run.status == 0)
        #expect(try run.json() == ["matched": 3, "changed": 3, "skipped": 0])
        #expect(try await database.job(other).status == "pending")
        #expect(try await jobs("delete", "--type", "report", "--yes").output == "3 deleted\n")
        #expect(try await database.count("true") == 1)
    }

    @Test func `a retry by options means failed jobs, not cancelled ones`() async throws {
        try await database.insertJob(status: .failed)
        try await database.insertJob(status: .cancelled)
        #expect(try await jobs("retry", "--type", "noop", "--yes").output == "1 retried\n")
        #expect(try await database.count("status = 'cancelled'") == 1)
    }

    @Test func `deleting a set-aside job settles its dead letter as ignored`() async throws {
        let id = try await database.insertJob(status: .deadLetter)
        try await database.query(
            """
            INSERT INTO public.dead_letter_queue (workspace_id, job_id, job_type)
            VALUES (\(TestDatabase.workspace), \(id), 'noop')
            """)
        #expect(try await jobs("delete", id.text).status == 0)
        #expect(try await database.value("SELECT status FROM public.dead_letter_queue", as: String.self) == "ignored")
    }
}
