import Enrichment
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// A credit that was spent is never spent again, whatever breaks after Apollo's answer.
@Suite(.database()) struct PaidOnceTests {
    let database = TestDatabase.current
    let scene: EnrichmentScene

    init() async throws {
        scene = try await EnrichmentScene()
    }

    @Test(arguments: Kind.allCases, [Duration.seconds(86_400), .zero])
    func `an attempt whose completion was lost is repeated for nothing, even if nothing is to be cached`(
        kind: Kind, lifetime: Duration
    ) async throws {
        var scene = scene
        scene.configuration.cacheLifetime = lifetime
        let row = try await scene.insert(kind, at: "lost.example.com")
        let job = try await scene.enqueue(kind, row)
        try await scene.run(job)
        let first = try await scene.result(job)
        // As the reaper leaves it when the worker died right after the save.
        try await database.query(
            """
            UPDATE public.jobs SET status = 'pending', result = NULL, completed_at = NULL, progress = '{}', worker_deaths = 1
            """)
        try await scene.run(job)
        let repeated = try await database.job(job)
        #expect(repeated.status == "completed")
        #expect(repeated.attempts == 2)
        #expect(try await scene.requests() == 1)
        #expect(try await scene.creditsUsed() == 1)
        // The job is told the credit it has cost, though its second attempt cost none.
        #expect(try await scene.result(job) == first)
    }

    @Test(arguments: Kind.allCases)
    func `an attempt that ends while its answer is being saved has saved it`(kind: Kind) async throws {
        let row = try await scene.insert(kind, at: "locked.example.com")
        // Enough to come as far as the save on a busy machine.
        let job = try await scene.enqueue(kind, row, timeout: .seconds(4))
        try await database.pool.withConnection { connection in
            _ = try await connection.query("BEGIN")
            _ = try await connection.query("SELECT FROM \(sql: kind.table) WHERE id = \(row) FOR UPDATE")
            try await scene.withWorker { _ in
                try await database.waitUntil("error_message = 'Timed out: attempt 1 ran longer than 4 s'")
                #expect(try await scene.creditsUsed() == 0)
                _ = try await connection.query("COMMIT")
                try await database.waitUntil("enrichment_credits_used = 1", of: "public.workspace_settings")
            }
        }
        try await scene.makeDue(job)
        try await scene.run(job)
        #expect(try await database.job(job).status == "completed")
        #expect(try await scene.requests() == 1)
        #expect(try await scene.creditsUsed() == 1)
        #expect(try await scene.result(job)["credits_used"] == 1)
    }

    @Test(arguments: Kind.allCases)
    func `a save that the database puts off is repeated, not the call`(kind: Kind) async throws {
        // A sequence counts on through rollbacks.
        try await database.run(
            """
            CREATE SEQUENCE public.tries;
            CREATE FUNCTION public.put_off() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
            BEGIN
                IF nextval('public.tries') <= 2 THEN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER put_off BEFORE UPDATE ON public.workspace_settings
                FOR EACH ROW EXECUTE FUNCTION public.put_off();
            """)
        let job = try await scene.attempt(kind, at: "putoff.example.com")
        #expect(try await database.job(job).status == "completed")
        #expect(try await database.job(job).attempts == 1)
        #expect(try await scene.requests() == 1)
        #expect(try await scene.creditsUsed() == 1)
        #expect(try await database.logs(of: job).filter { $0.metadata?["apollo_call"] != nil }.count == 1)
    }

    @Test(arguments: Kind.allCases, ["public.enrichment_cache", "public.workspace_settings"])
    func `row, cache and credit are stored together or not at all`(kind: Kind, table: String) async throws {
        try await database.run(
            """
            CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '22023'; END $$;
            CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON \(table) FOR EACH ROW EXECUTE FUNCTION public.refuse();
            """)
        let row = try await scene.insert(kind, at: "together.example.com")
        let before = try await scene.row(kind, row)
        let job = try await scene.enqueue(kind, row)
        try await scene.run(job)
        #expect(try await database.job(job).status == "failed")
        #expect(try await scene.row(kind, row) == before)
        #expect(try await !scene.isEnriched(kind, row))
        #expect(try await scene.creditsUsed() == 0)
        #expect(try await database.count("true", of: "public.enrichment_cache") == 0)
        #expect(try await database.logs(of: job).allSatisfy { $0.metadata?["apollo_call"] == nil })
    }

    @Test(arguments: Kind.allCases)
    func `a row deleted during the call fails the job, and its answer is kept`(kind: Kind) async throws {
        let row = try await scene.insert(kind, at: "gone.slow-1.test")
        let job = try await scene.enqueue(kind, row)
        try await scene.withWorker { _ in
            try await database.waitUntil("progress ->> 'percentage' = '30'")
            try await database.query("DELETE FROM \(sql: kind.table)")
            try await scene.waitUntilSettled([job])
        }
        #expect(try await database.job(job).status == "failed")
        #expect(try await database.job(job).errorMessage == "\(kind.name) not found: \(row.text)")
        #expect(try await scene.creditsUsed() == 1)
        // Added again, it is free.
        let again = try await scene.attempt(kind, at: "gone.slow-1.test")
        #expect(try await scene.result(again)["credits_used"] == 0)
        #expect(try await scene.requests() == 1)
    }
}
