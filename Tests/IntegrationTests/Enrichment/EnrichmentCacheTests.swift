import Enrichment
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// What was paid for once is used again, in the workspace that paid.
@Suite(.database()) struct EnrichmentCacheTests {
    let database = TestDatabase.current

    private func cached(_ condition: String) async throws -> Int {
        try await database.count(condition, of: "public.enrichment_cache")
    }

    @Test(arguments: Kind.allCases)
    func `a second job costs nothing and asks nobody`(kind: Kind) async throws {
        let scene = try await EnrichmentScene()
        let row = try await scene.insert(kind, at: "twice.example.com")
        let first = try await scene.enqueue(kind, row)
        try await scene.run(first)
        let enriched = try await scene.row(kind, row)
        try await database.query("UPDATE \(sql: kind.table) SET last_enriched_at = NULL")
        let second = try await scene.enqueue(kind, row)
        try await scene.run(second)
        #expect(try await database.job(second).status == "completed")
        #expect(try await scene.requests() == 1)
        #expect(try await scene.creditsUsed() == 1)
        #expect(try await scene.result(first)["credits_used"] == 1)
        #expect(try await scene.result(second)["credits_used"] == 0)
        // Nothing was left to change.
        #expect(try await scene.result(second)["fields_enriched"] == 0)
        #expect(try await scene.result(second)["enriched_data"] == scene.result(first)["enriched_data"])
        #expect(try await scene.row(kind, row) == enriched)
        #expect(try await scene.isEnriched(kind, row))
        #expect(
            try await database.logs(of: second).map(\.message).dropLast() == [
                "Attempt 1 of 5 started", "Cache hit", "\(kind.name) updated",
            ])
        #expect(try await cached("hit_count = 1 AND last_accessed_at > created_at") == 1)
        try await scene.expectDiscreet(second)
    }

    @Test(arguments: Kind.allCases)
    func `one workspace never sees what another paid for`(kind: Kind) async throws {
        let scene = try await EnrichmentScene()
        _ = try await scene.attempt(kind, at: "shared.example.com")
        let key = EnrichmentScene.newKey()
        let other = try await scene.insertWorkspace(key: key)
        let row = try await scene.insert(kind, at: "shared.example.com", workspace: other)
        let job = try await scene.enqueue(kind, row, workspace: other)
        try await scene.run(job)
        #expect(try await scene.requests() == 1)
        #expect(try await scene.requests(key: key) == 1)
        #expect(try await scene.creditsUsed() == 1)
        #expect(try await scene.creditsUsed(other) == 1)
        #expect(try await cached("hit_count = 0") == 2)
    }

    @Test func `all spellings of a page at LinkedIn are one entry`() async throws {
        let scene = try await EnrichmentScene()
        for address in [
            "HTTPS://WWW.LinkedIn.example.com/in/Ines-Example/?utm=1", "linkedin.example.com/in/ines-example",
            "http://linkedin.example.com/in/ines-example#about",
        ] {
            let row = try await database.insertContact(email: nil, linkedIn: address)
            let job = try await scene.enqueue(.contact, row)
            try await scene.run(job)
            #expect(try await database.job(job).status == "completed")
        }
        #expect(try await scene.requests() == 1)
        #expect(
            try await cached("lookup_value = 'https://linkedin.example.com/in/ines-example' AND hit_count = 2") == 1)
    }

    @Test(arguments: Kind.allCases)
    func `each write makes an entry last its time again`(kind: Kind) async throws {
        var scene = try await EnrichmentScene()
        scene.configuration.cacheLifetime = .seconds(7 * 86_400)
        let row = try await scene.insert(kind, at: "again.example.com")
        try await scene.run(try await scene.enqueue(kind, row))
        let isFresh = "expires_at BETWEEN now() + interval '6 days 23 hours' AND now() + interval '7 days'"
        #expect(try await cached(isFresh) == 1)
        try await database.query(
            """
            UPDATE public.enrichment_cache SET hit_count = 9, expires_at = now() - interval '1 second',
                created_at = now() - interval '8 days', enrichment_data = '{"id": "1", "name": "Outdated"}'
            """)
        let second = try await scene.enqueue(kind, row)
        try await scene.run(second)
        #expect(try await scene.requests() == 2)
        #expect(try await scene.result(second)["credits_used"] == 1)
        #expect(try await cached("\(isFresh) AND created_at > now() - interval '1 hour'") == 1)
        #expect(try await cached("enrichment_data ->> 'name' = 'Outdated'") == 0)
        let third = try await scene.enqueue(kind, row)
        try await scene.run(third)
        #expect(try await scene.requests() == 2)
    }

    @Test(arguments: Kind.allCases)
    func `a lifetime of none asks every time`(kind: Kind) async throws {
        var scene = try await EnrichmentScene()
        scene.configuration.cacheLifetime = .zero
        let row = try await scene.insert(kind, at: "never.example.com")
        for _ in 0..<2 { try await scene.run(try await scene.enqueue(kind, row)) }
        #expect(try await database.count("status = 'completed'") == 2)
        #expect(try await scene.requests() == 2)
        #expect(try await scene.creditsUsed() == 2)
    }

    @Test(arguments: Kind.allCases)
    func `a miss is remembered for an hour`(kind: Kind) async throws {
        let scene = try await EnrichmentScene()
        let row = try await scene.insert(kind, at: "nobody.test")
        for _ in 0..<2 {
            let job = try await scene.enqueue(kind, row)
            try await scene.run(job)
            #expect(try await database.job(job).status == "failed")
            #expect(try await database.job(job).errorMessage == kind.noMatch)
        }
        #expect(try await scene.requests() == 1)
        #expect(try await cached("expires_at BETWEEN now() + interval '50 minutes' AND now() + interval '1 hour'") == 1)
        try await database.query("UPDATE public.enrichment_cache SET expires_at = now()")
        try await scene.run(try await scene.enqueue(kind, row))
        #expect(try await scene.requests() == 2)
        #expect(try await !scene.isEnriched(kind, row))
        #expect(try await scene.creditsUsed() == 0)
    }

    @Test(arguments: Kind.allCases, ["\"damaged\"", "{\"unexpected\": 1}", "[]"])
    func `an entry that can't be read is replaced`(kind: Kind, data: String) async throws {
        let scene = try await EnrichmentScene()
        let row = try await scene.insert(kind, at: "damaged.example.com")
        try await scene.run(try await scene.enqueue(kind, row))
        try await database.query("UPDATE public.enrichment_cache SET enrichment_data = \(JSONText(data))")
        let job = try await scene.enqueue(kind, row)
        try await scene.run(job)
        #expect(try await database.job(job).status == "completed")
        #expect(try await scene.requests() == 2)
        #expect(try await cached("enrichment_data ? 'id'") == 1)
    }
}
