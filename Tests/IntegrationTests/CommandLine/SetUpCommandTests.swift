import JobWorker
import Postgres
import Support
import Testing

struct SetUpCommandTests {
    @Test(.database()) func `a set-up that is right has no failure`() async throws {
        let run = try await CommandRun.of("doctor", "--json", database: TestDatabase.current)
        #expect(run.status == 0, "\(run.output)")
        let json = try run.json()
        #expect(json["healthy"]?.bool == true)
        let role = json["findings"]?.array?.first { $0["subject"]?.string == "role" }
        #expect(role?["state"]?.string == "ok")
    }

    @Test(.database(.nothing)) func `a database without the schema is a failure`() async throws {
        let run = try await CommandRun.of("doctor", database: TestDatabase.current, role: "postgres")
        #expect(run.status == 1 && run.output.contains("jobworker migrate"))
    }

    @Test(.database(.adopted)) func `the application's odd rows are counted`() async throws {
        let database = TestDatabase.current
        try await database.run(
            "INSERT INTO public.jobs (workspace_id, job_type, payload, status) VALUES (NULL, 'x', '{}', 'strange')")
        let run = try await CommandRun.of("doctor", database: database)
        #expect(run.output.contains("without a workspace") && run.output.contains("strange"))
        #expect(run.status == 0, "\(run.output)")
    }

    @Test(.database()) func `row security without a policy for the worker is a failure`() async throws {
        let database = TestDatabase.current
        try await database.run(
            "DROP POLICY jobworker_worker ON public.jobs; REVOKE DELETE ON public.jobs FROM jobworker")
        let run = try await CommandRun.of("doctor", database: database)
        #expect(run.status == 1)
        #expect(run.output.contains("hides every row of public.jobs") && run.output.contains("DELETE on public.jobs"))
    }

    @Test func `a secret is never printed`() async throws {
        let secrets = [
            "DATABASE_URL": "postgresql://u:hunter2hunter2@db/x", "WORKER_SECRET_TOKEN": "hunter2hunter2",
            "SUPABASE_JWT_SECRET": "hunter2hunter2hunter2hunter2hunter2",
        ]
        for arguments in [["config"], ["config", "--json"]] {
            let run = try await CommandRun.of(arguments: arguments, environment: secrets)
            #expect(run.status == 0, "\(run.error)")
            #expect(run.output.contains("•••") && !(run.output + run.error).contains("hunter2"))
        }
    }

    @Test func `the sample file is printed whole`() async throws {
        let run = try await CommandRun.of("config", "--sample")
        #expect(run.status == 0 && run.output.contains("#worker_max_concurrent: 5"))
    }
}
