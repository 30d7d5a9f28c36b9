import Development
import FoundationEssentials
import Postgres

/// The record that jobs of the type `ledger` keep of what really happened; see `TestWorker`.
extension TestDatabase {
    package func makeLedger() async throws {
        try await run(
            """
            CREATE TABLE public.ledger (
                seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                at timestamptz NOT NULL DEFAULT clock_timestamp(),
                run uuid NOT NULL, job_id uuid NOT NULL, attempt int NOT NULL, pid int NOT NULL, event text NOT NULL
            );
            CREATE INDEX ON public.ledger (job_id);
            GRANT INSERT, SELECT ON public.ledger TO \(TestDatabase.workerRole);
            """)
    }

    /// What a worker needs to write it.
    package var ledgerEnvironment: [String: String] {
        ["LEDGER_URL": server.connectionString(database: name, role: TestDatabase.workerRole)]
    }

    /// Pairs of runs of one job that went on at the same time, as far as their rows tell.
    package func overlappingRuns() async throws -> Int {
        try await value(
            """
            WITH runs AS (
                SELECT run, job_id, min(at) AS began, max(at) AS ended FROM public.ledger GROUP BY run, job_id
            )
            SELECT count(*) FROM runs AS one JOIN runs AS other USING (job_id)
            WHERE one.run < other.run AND one.began < other.ended AND other.began < one.ended
            """) ?? 0
    }

    /// Jobs that are completed although no run of them wrote that it was done, or that are done and not completed.
    package func misreportedJobs() async throws -> Int {
        try await value(
            """
            SELECT count(*) FROM public.jobs
            WHERE job_type = 'ledger' AND (status = 'completed') IS DISTINCT FROM EXISTS (
                SELECT FROM public.ledger WHERE ledger.job_id = jobs.id AND ledger.event = 'done')
            """) ?? 0
    }
}
