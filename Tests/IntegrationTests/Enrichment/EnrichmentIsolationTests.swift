import Enrichment
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// A job acts in its own workspace, whatever its payload names.
@Suite(.database()) struct EnrichmentIsolationTests {
    let database = TestDatabase.current

    /// Everything of a workspace that enrichment could touch.
    private func contents(_ workspace: UUID) async throws -> String? {
        try await database.value(
            """
            SELECT concat_ws(' ',
                (SELECT json_agg(t ORDER BY id) FROM public.accounts AS t WHERE workspace_id = \(workspace)),
                (SELECT json_agg(t ORDER BY id) FROM public.contacts AS t WHERE workspace_id = \(workspace)),
                (SELECT json_agg(t) FROM public.workspace_settings AS t WHERE workspace_id = \(workspace)),
                (SELECT json_agg(t ORDER BY id) FROM public.enrichment_cache AS t WHERE workspace_id = \(workspace)),
                (SELECT json_agg(t ORDER BY id) FROM public.rate_limits AS t WHERE workspace_id = \(workspace)))
            """)
    }

    @Test(arguments: Kind.allCases)
    func `a payload that names another workspace's row changes nothing there`(kind: Kind) async throws {
        let scene = try await EnrichmentScene()
        let key = EnrichmentScene.newKey()
        let other = try await scene.insertWorkspace(key: key)
        let known = try await scene.insert(kind, at: "known.example.com", workspace: other)
        try await scene.run(try await scene.enqueue(kind, known, workspace: other))
        let fresh = try await scene.insert(kind, at: "fresh.example.com", workspace: other)
        let before = try await contents(other)
        #expect(before?.contains("known.example.com") == true)
        for row in [known, fresh] {
            let job = try await scene.enqueue(kind, row)
            try await scene.run(job)
            #expect(try await database.job(job).status == "failed")
            #expect(try await database.job(job).errorMessage == "\(kind.name) not found: \(row.text)")
            #expect(try await database.job(job).result == nil)
        }
        #expect(try await contents(other) == before)
        #expect(try await scene.requests() == 0)
        #expect(try await scene.requests(key: key) == 1)
    }

    @Test(arguments: Kind.allCases)
    func `a job's own key pays, never another workspace's`(kind: Kind) async throws {
        let scene = try await EnrichmentScene()
        let other = try await database.insertWorkspace()
        let row = try await scene.insert(kind, at: "keyless.example.com", workspace: other)
        let job = try await scene.enqueue(kind, row, workspace: other)
        try await scene.run(job)
        #expect(try await database.job(job).errorMessage?.hasPrefix("Apollo API key not configured.") == true)
        #expect(try await scene.requests() == 0)
    }

    @Test(arguments: Kind.allCases)
    func `the same company in two workspaces is changed in the job's alone`(kind: Kind) async throws {
        let scene = try await EnrichmentScene()
        let other = try await database.insertWorkspace()
        let foreign = try await scene.insert(kind, at: "both.example.com", workspace: other)
        let before = try await contents(other)
        let row = try await scene.insert(kind, at: "both.example.com")
        try await scene.run(try await scene.enqueue(kind, row))
        #expect(try await scene.isEnriched(kind, row))
        #expect(try await !scene.isEnriched(kind, foreign))
        #expect(try await contents(other) == before)
    }
}
