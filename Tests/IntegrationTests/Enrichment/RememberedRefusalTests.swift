import Enrichment
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// After Apollo refused a key, the workspace's further jobs don't ask in vain.
@Suite(.database()) struct RememberedRefusalTests {
    let database = TestDatabase.current

    private func settings(_ scene: EnrichmentScene) -> ApolloKey {
        ApolloKey(
            pool: database.workerPool, client: EnrichmentScene.client, vault: scene.vault, apolloBaseURL: scene.apollo)
    }

    @Test(arguments: Kind.allCases, ["bad", "broke", "forbidden"])
    func `further jobs fail at once with the same words and without a call`(kind: Kind, answers: String) async throws {
        let scene = try await EnrichmentScene(answers: answers)
        let first = try await scene.attempt(kind, at: "one.example.com")
        let message = try await database.job(first).errorMessage
        #expect(message != nil)
        for number in 0..<3 {
            let job = try await scene.attempt(kind, at: "more\(number).example.com")
            let row = try await database.job(job)
            #expect(row.status == "failed")
            #expect(row.attempts == 1)
            #expect(row.errorMessage == message)
            try await scene.expectDiscreet(job)
        }
        #expect(try await scene.requests() == 1)
        // The other endpoint may well be open to this key.
        _ = try await scene.attempt(kind == .account ? .contact : .account, at: "other.example.com")
        #expect(try await scene.requests() == 2)
    }

    @Test func `another workspace asks for itself`() async throws {
        let scene = try await EnrichmentScene(answers: "bad")
        _ = try await scene.attempt(.account, at: "one.example.com")
        let key = EnrichmentScene.newKey()
        let other = try await scene.insertWorkspace(key: key)
        let row = try await scene.insert(.account, at: "one.example.com", workspace: other)
        let job = try await scene.enqueue(.account, row, workspace: other)
        try await scene.run(job)
        #expect(try await database.job(job).status == "completed")
    }

    @Test(arguments: Kind.allCases)
    func `a new key lifts it`(kind: Kind) async throws {
        let scene = try await EnrichmentScene(answers: "bad")
        _ = try await scene.attempt(kind, at: "one.example.com")
        let key = EnrichmentScene.newKey()
        try await settings(scene).set(workspace: TestDatabase.workspace, key: #require(APIKey(key)))
        let job = try await scene.attempt(kind, at: "two.example.com")
        #expect(try await database.job(job).status == "completed")
        #expect(try await scene.requests(key: key) == 1)
    }

    @Test func `a key that the application stores by itself lifts it too`() async throws {
        let scene = try await EnrichmentScene(answers: "bad")
        _ = try await scene.attempt(.account, at: "one.example.com")
        try await scene.store(sealed: Data(EnrichmentScene.newKey().utf8).base64EncodedString())
        let job = try await scene.attempt(.account, at: "two.example.com")
        #expect(try await database.job(job).status == "completed")
    }

    @Test func `a test of the key lifts it, whatever comes of it`() async throws {
        let scene = try await EnrichmentScene(answers: "bad")
        _ = try await scene.attempt(.account, at: "one.example.com")
        let result = try await settings(scene).test(workspace: TestDatabase.workspace)
        #expect(!result.success)
        #expect(result.errorMessage == "Apollo does not accept this API key")
        _ = try await scene.attempt(.account, at: "two.example.com")
        #expect(try await scene.requests() == 2)
    }

    @Test func `after five minutes Apollo is asked again`() async throws {
        let scene = try await EnrichmentScene(answers: "broke")
        _ = try await scene.attempt(.account, at: "one.example.com")
        let isHeld = "blocked_until BETWEEN now() + interval '4 minutes' AND now() + interval '5 minutes'"
        #expect(try await database.count(isHeld, of: "public.rate_limits") == 1)
        try await database.query("UPDATE public.rate_limits SET blocked_until = now() WHERE blocked_until IS NOT NULL")
        _ = try await scene.attempt(.account, at: "two.example.com")
        #expect(try await scene.requests() == 2)
        #expect(try await database.count(isHeld, of: "public.rate_limits") == 1)
    }

    @Test func `what is cached is used all the same`() async throws {
        let scene = try await EnrichmentScene()
        let row = try await scene.insert(.account, at: "known.example.com")
        try await scene.run(try await scene.enqueue(.account, row))
        _ = try await scene.attempt(.account, at: "error-402.test")
        let job = try await scene.enqueue(.account, row)
        try await scene.run(job)
        #expect(try await database.job(job).status == "completed")
    }
}
