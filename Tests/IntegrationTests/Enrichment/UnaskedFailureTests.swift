import Enrichment
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Jobs that can't be helped by any answer of Apollo's: they fail at once, for nothing, and say what to do.
@Suite(.database()) struct UnaskedFailureTests {
    let scene: EnrichmentScene
    let database = TestDatabase.current

    init() async throws {
        scene = try await EnrichmentScene()
    }

    private func expectFailed(
        _ job: UUID, _ message: String, stack: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let row = try await database.job(job)
        #expect(row.status == "failed", sourceLocation: sourceLocation)
        #expect(row.attempts == 1, sourceLocation: sourceLocation)
        #expect(row.nextRetryAt == nil, sourceLocation: sourceLocation)
        #expect(row.failedAt != nil && row.completedAt != nil, sourceLocation: sourceLocation)
        #expect(row.errorMessage == message, sourceLocation: sourceLocation)
        #expect(row.errorStack == stack, sourceLocation: sourceLocation)
        let last = try #require(try await database.logs(of: job).last, sourceLocation: sourceLocation)
        #expect(last.level == "error", sourceLocation: sourceLocation)
        #expect(last.message == "Failed on attempt 1 of 5: \(message)", sourceLocation: sourceLocation)
        #expect(try await scene.requests() == 0, sourceLocation: sourceLocation)
        try await scene.expectDiscreet(job, sourceLocation: sourceLocation)
    }

    @Test(arguments: Kind.allCases, [nil, ""])
    func `without a key users are told where to enter one`(kind: Kind, stored: String?) async throws {
        try await scene.store(sealed: stored)
        let job = try await scene.attempt(kind, at: "nokey.example.com")
        try await expectFailed(
            job, "Apollo API key not configured. A workspace admin can enter it in the workspace settings.")
    }

    @Test(arguments: Kind.allCases)
    func `a workspace whose settings nobody has opened yet has no key`(kind: Kind) async throws {
        try await database.query("DELETE FROM public.workspace_settings")
        let job = try await scene.attempt(kind, at: "nokey.example.com")
        #expect(try await database.job(job).errorMessage?.hasPrefix("Apollo API key not configured.") == true)
    }

    private static let enterAgain = """
        The stored Apollo API key can't be decrypted. A workspace admin must enter the key again in the workspace settings.
        """

    @Test(arguments: Kind.allCases)
    func `a key encrypted with a lost encryption key has to be entered again`(kind: Kind) async throws {
        let lost = try KeyVault(parsing: KeyVault.generateKey(id: "lost"))
        let sealed = try lost.seal(#require(APIKey(scene.key)), workspace: TestDatabase.workspace)
        try await scene.store(sealed: sealed)
        let job = try await scene.attempt(kind, at: "lost.example.com")
        try await expectFailed(
            job, Self.enterAgain,
            stack: "the stored API key was encrypted with the key 'lost', which is not in WORKER_ENCRYPTION_KEYS")
    }

    @Test(arguments: Kind.allCases, ["v1:test:AAAA", "plain canary text", "v1:test"])
    func `a damaged key has to be entered again`(kind: Kind, stored: String) async throws {
        try await scene.store(sealed: stored)
        let job = try await scene.attempt(kind, at: "damaged.example.com")
        try await expectFailed(job, Self.enterAgain, stack: "the stored API key can't be decrypted")
    }

    @Test(arguments: Kind.allCases)
    func `a key copied from another workspace is refused`(kind: Kind) async throws {
        let other = try await scene.insertWorkspace(key: scene.key)
        let copied: String? = try await database.value(
            "SELECT apollo_api_key_encrypted FROM public.workspace_settings WHERE workspace_id = \(other)")
        try await scene.store(sealed: copied)
        let job = try await scene.attempt(kind, at: "copied.example.com")
        try await expectFailed(job, Self.enterAgain, stack: "the stored API key can't be decrypted")
    }

    @Test(
        arguments: Kind.allCases,
        [
            ("{}", "Missing $id"), (#"{"$id": null}"#, "Missing $id"), (#"{"$id": ""}"#, "Missing $id"),
            (#"{"$id": "not-a-uuid"}"#, "Invalid payload: '$id' is not a UUID"),
            (#"{"$id": 17}"#, "Invalid payload: '$id' must be text"),
            ("[]", "Invalid payload: a JSON object is expected"),
            ("null", "Invalid payload: a JSON object is expected"),
        ])
    func `a payload without a usable id is named as the fault`(
        kind: Kind, payload: (text: String, message: String)
    ) async throws {
        let field = "\(kind.rawValue)_id"
        let job = try await database.insertJob(
            kind.jobType, payload: payload.text.replacing("$id", with: field))
        try await scene.run(job)
        try await expectFailed(job, payload.message.replacing("$id", with: field))
    }

    @Test(arguments: [
        ("email", "kim canary at home", "'email' is not an e-mail address"),
        ("linkedin_url", "kim-canary", "'linkedin_url' is not a web address"),
    ])
    func `a contact's data at fault is named, not quoted`(field: String, value: String, words: String) async throws {
        let row = try await scene.insert(.contact, at: "fault.example.com")
        let job = try await scene.enqueue(.contact, row, with: [field: .string(value)])
        try await scene.run(job)
        try await expectFailed(job, "Invalid payload: \(words)")
    }

    @Test(arguments: [
        ("nonsense", "nonsense"), ("kim.canary@nowhere", "•••"),
    ])
    func `a domain that is none is quoted, an address in its place is not`(value: String, shown: String) async throws {
        let row = try await scene.insert(.account, at: "fault.example.com")
        let job = try await scene.enqueue(.account, row, with: ["domain": .string(value)])
        try await scene.run(job)
        try await expectFailed(job, "Invalid payload: 'domain' is not a domain such as example.com: \(shown)")
    }

    @Test(arguments: Kind.allCases)
    func `an absent row and another workspace's row are told in the same words`(kind: Kind) async throws {
        let other = try await database.insertWorkspace()
        let foreign = try await scene.insert(kind, at: "foreign.example.com", workspace: other)
        let before = try await scene.row(kind, foreign)
        for row in [UUID(), foreign] {
            let job = try await scene.enqueue(kind, row)
            try await scene.run(job)
            try await expectFailed(job, "\(kind.name) not found: \(row.text)")
        }
        #expect(try await scene.row(kind, foreign) == before)
        #expect(try await !scene.isEnriched(kind, foreign))
    }

    @Test(arguments: [JSONValue.null, "", "  "])
    func `an account without a domain can't be looked up`(given: JSONValue) async throws {
        let row = try await database.insertAccount(domain: nil)
        let job = try await scene.enqueue(.account, row, with: ["domain": given, "account_name": "Example"])
        try await scene.run(job)
        try await expectFailed(
            job,
            """
            No domain available: neither the job nor the account \(row.text) has one. Enter the company's domain in the \
            account.
            """)
    }

    @Test func `an account whose domain is none says so`() async throws {
        let row = try await database.insertAccount(domain: "the web")
        let job = try await scene.enqueue(.account, row)
        try await scene.run(job)
        try await expectFailed(
            job,
            """
            No domain available: the account \(row.text) has 'the web', which is no domain. Correct it in the account.
            """)
    }

    @Test(arguments: [nil, "email_not_unlocked@domain.com"])
    func `a contact without address and LinkedIn page can't be looked up`(email: String?) async throws {
        let row = try await database.insertContact(email: email)
        let job = try await scene.enqueue(.contact, row, with: ["email": nil, "linkedin_url": "", "first_name": "Kim"])
        try await scene.run(job)
        try await expectFailed(
            job,
            """
            Email or LinkedIn URL required: neither the job nor the contact \(row.text) has one. Enter one in the contact.
            """)
    }

    @Test(arguments: Kind.allCases, ["suspended", "deleted"])
    func `a workspace that isn't active spends nothing`(kind: Kind, status: String) async throws {
        try await database.query("UPDATE public.workspaces SET status = \(status)")
        let job = try await scene.attempt(kind, at: "suspended.example.com")
        try await expectFailed(
            job,
            """
            The workspace is \(status): nothing is enriched and no Apollo credits are spent until it is active again.
            """)
    }
}
