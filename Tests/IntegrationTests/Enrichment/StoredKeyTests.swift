import Enrichment
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Keys in the settings' rows: encrypted, shown in part, rotated.
@Suite(.database()) struct StoredKeyTests {
    let database = TestDatabase.current
    private let workspace = TestDatabase.workspace

    private func stored(_ workspace: UUID) async throws -> String? {
        try await database.value(
            "SELECT apollo_api_key_encrypted FROM public.workspace_settings WHERE workspace_id = \(workspace)")
    }

    private func hint() async throws -> String? {
        try await database.value("SELECT apollo_api_key_hint FROM public.workspace_settings")
    }

    @Test func `a key is stored encrypted and shown by its last four characters`() async throws {
        let vault = try KeyVault(parsing: KeyVault.generateKey(id: "k1"))
        let settings = ApolloKey(pool: database.workerPool, client: EnrichmentScene.client, vault: vault)
        let none = try await settings.status(workspace: workspace)
        #expect(!none.isConfigured && none.lastFour == nil && none.protection == nil && none.problem == nil)

        try await settings.set(workspace: workspace, key: #require(APIKey("canary-api-key-1234")))
        let first = try #require(try await stored(workspace))
        #expect(first.hasPrefix("v1:k1:"))
        #expect(try vault.open(first, workspace: workspace).key.reveal() == "canary-api-key-1234")
        let status = try await settings.status(workspace: workspace)
        #expect(status.isConfigured && status.problem == nil)
        #expect(status.lastFour == "1234")
        #expect(status.protection == .encrypted(keyID: "k1"))
        #expect(try await hint() == "1234")

        // Another one takes its place, hint and all.
        try await settings.set(workspace: workspace, key: #require(APIKey("canary-api-key-5678")))
        #expect(try await settings.status(workspace: workspace).lastFour == "5678")
        #expect(try await hint() == "5678")
        #expect(try await database.count("apollo_api_key_configured", of: "public.workspace_settings") == 1)

        try await database.query("UPDATE public.workspace_settings SET apollo_auto_enrich = true")
        #expect(try await settings.remove(workspace: workspace))
        #expect(try await stored(workspace) == nil)
        #expect(try await hint() == nil)
        #expect(
            try await database.count(
                "apollo_api_key_configured OR apollo_auto_enrich", of: "public.workspace_settings") == 0)
        #expect(try await !settings.remove(workspace: workspace))
    }

    @Test(arguments: [("good", true), ("bad", false)])
    func `a key can be tried out without cost`(answers: String, isGood: Bool) async throws {
        let scene = try await EnrichmentScene(answers: answers)
        let settings = ApolloKey(
            pool: database.workerPool, client: EnrichmentScene.client, vault: scene.vault, apolloBaseURL: scene.apollo)
        #expect(try await settings.test(workspace: workspace).success == isGood)
        #expect(try await scene.requests() == 0)
    }

    @Test(arguments: Kind.allCases)
    func `the application's older values work`(kind: Kind) async throws {
        let scene = try await EnrichmentScene()
        try await scene.store(sealed: Data(scene.key.utf8).base64EncodedString())
        let job = try await scene.attempt(kind, at: "legacy.example.com")
        #expect(try await database.job(job).status == "completed")
        #expect(try await scene.requests() == 1)
    }

    // MARK: Rotation

    /// Seven workspaces: keys in base64, under an older encryption key, and one under a lost one.
    private struct Stock {
        let vault: KeyVault
        var keys: [UUID: String] = [:]
        var lost: UUID
    }

    private func makeStock() async throws -> Stock {
        let oldKey = KeyVault.generateKey(id: "old")
        let old = try KeyVault(parsing: oldKey)
        let vault = try KeyVault(parsing: "\(KeyVault.generateKey(id: "new")),\(oldKey)")
        var stock = Stock(vault: vault, lost: UUID())
        for number in 0..<7 {
            let workspace = try await database.insertWorkspace()
            let key = "canary-api-key-\(number)"
            let apiKey = try #require(APIKey(key))
            let sealed: String
            switch number {
            case 0...2: sealed = Data(key.utf8).base64EncodedString()
            case 3...5: sealed = try old.seal(apiKey, workspace: workspace)
            default:
                sealed = try KeyVault(parsing: KeyVault.generateKey(id: "lost")).seal(apiKey, workspace: workspace)
            }
            if number == 6 { stock.lost = workspace } else { stock.keys[workspace] = key }
            try await database.query(
                """
                INSERT INTO public.workspace_settings (workspace_id, apollo_api_key_encrypted)
                VALUES (\(workspace), \(sealed))
                """)
        }
        return stock
    }

    private func expectRotated(_ stock: Stock, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        for (workspace, key) in stock.keys {
            let sealed = try #require(try await stored(workspace), sourceLocation: sourceLocation)
            let opened = try stock.vault.open(sealed, workspace: workspace)
            #expect(opened.key.reveal() == key, sourceLocation: sourceLocation)
            #expect(opened.protection == .encrypted(keyID: "new"), sourceLocation: sourceLocation)
        }
    }

    @Test func `all keys are encrypted anew, in batches; what can't be is reported and left`() async throws {
        let stock = try await makeStock()
        let rotation = KeyRotation(pool: database.workerPool, vault: stock.vault, batchSize: 2)
        let before = try await rotation.survey()
        #expect(before.encrypted == ["old": 3])
        #expect(before.unprotected == 3)
        #expect(before.unreadable == [stock.lost])
        let lost = try await stored(stock.lost)

        let batches = Counter<Int>()
        let report = try await rotation.run { batches.add($0.rotated + $0.unreadable.count) }
        #expect(report.rotated == 6)
        #expect(report.unreadable == [stock.lost])
        #expect(batches.all == [2: 1, 4: 1, 6: 1, 7: 1])
        try await expectRotated(stock)
        #expect(try await stored(stock.lost) == lost)

        // Nothing is left to do.
        let again = try await rotation.run()
        #expect(again.rotated == 0)
        #expect(try await rotation.survey().encrypted == ["new": 6])
    }

    @Test func `an interrupted rotation goes on where it stopped`() async throws {
        let stock = try await makeStock()
        let rotation = KeyRotation(pool: database.workerPool, vault: stock.vault, batchSize: 2)
        let interrupted = Task { try await rotation.run { _ in withUnsafeCurrentTask { $0?.cancel() } } }
        await #expect(throws: CancellationError.self) { try await interrupted.value }
        let done = try await rotation.survey().encrypted["new"] ?? 0
        #expect((1...2).contains(done))
        #expect(try await rotation.run().rotated == 6 - done)
        try await expectRotated(stock)
    }

    @Test func `at any moment of a rotation that is stopped again and again every key can be read`() async throws {
        let stock = try await makeStock()
        // A worker that knows both keys, as all of them do by then.
        let reader = ApolloKey(
            pool: database.workerPool, client: EnrichmentScene.client, vault: stock.vault)
        let rotation = KeyRotation(pool: database.workerPool, vault: stock.vault, batchSize: 1)
        let done = Counter<String>()
        try await withThrowingTaskGroup(of: Int.self) { group in
            for workspace in stock.keys.keys {
                group.addTask {
                    var looks = 0
                    repeat {
                        let status = try await reader.status(workspace: workspace)
                        #expect(status.problem == nil && status.lastFour?.isEmpty == false)
                        looks += 1
                    } while done["rotation"] == 0
                    return looks
                }
            }
            for number in 1...6 {
                // Each run is stopped after the first key that it stored.
                let run = Task {
                    try await rotation.run { report in
                        if report.rotated > 0 { withUnsafeCurrentTask { $0?.cancel() } }
                    }
                }
                _ = await run.result
                #expect(try await rotation.survey().encrypted["new"] == number)
            }
            done.add("rotation")
            for try await looks in group { #expect(looks > 0) }
        }
        try await expectRotated(stock)
    }

    @Test func `a key that is set during the rotation wins`() async throws {
        var stock = try await makeStock()
        let rotation = KeyRotation(pool: database.workerPool, vault: stock.vault)
        let chosen = try #require(stock.keys.keys.first)
        stock.keys[chosen] = nil
        let mine = try stock.vault.seal(#require(APIKey("canary-api-key-mine")), workspace: chosen)
        let report = try await database.pool.withConnection { connection in
            _ = try await connection.query("BEGIN")
            _ = try await connection.query(
                "UPDATE public.workspace_settings SET apollo_api_key_encrypted = \(mine) WHERE workspace_id = \(chosen)"
            )
            let running = Task { try await rotation.run() }
            // It has read the old value and waits for the row.
            try await database.waitUntil(
                "wait_event_type = 'Lock' AND query LIKE '/* jobworker:enrichment.rotate_keys */%' AND datname = current_database()",
                of: "pg_stat_activity")
            _ = try await connection.query("COMMIT")
            return try await running.value
        }
        #expect(report.rotated == 5)
        #expect(report.changedMeanwhile == 1)
        #expect(try await stored(chosen) == mine)
        try await expectRotated(stock)
    }

    @Test func `jobs run before, during and after a rotation`() async throws {
        let scene = try await EnrichmentScene()
        let rotated = try KeyVault(parsing: KeyVault.generateKey(id: "next"))
        try await scene.store(sealed: Data(scene.key.utf8).base64EncodedString())
        #expect(try await KeyRotation(pool: database.workerPool, vault: scene.vault).run().rotated == 1)
        #expect(try await stored(workspace)?.hasPrefix("v1:test:") == true)
        let job = try await scene.attempt(.account, at: "rotated.example.com")
        #expect(try await database.job(job).status == "completed")
        // Without the key it was encrypted with nothing is changed.
        let report = try await KeyRotation(pool: database.workerPool, vault: rotated).run()
        #expect(report.unreadable == [workspace])
        #expect(try await stored(workspace)?.hasPrefix("v1:test:") == true)
    }
}
