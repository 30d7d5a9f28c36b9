import FoundationEssentials
public import JobWorker
import Postgres

/// Runs `enrich_account`: looks an account's company up by its domain and fills the account's columns in.
///
/// Makes at most one paid request for each attempt, none when the cache has the answer. An attempt repeated after
/// a lost completion finds the cache filled, and reports the credit that was spent before it.
public struct EnrichAccount: JobProcessor {
    public let jobTypes = ["enrich_account"]
    private let service: EnrichmentService

    public init(service: EnrichmentService) {
        self.service = service
    }

    public func process(_ job: Job, context: JobContext) async throws -> JSONText? {
        let payload = try AccountPayload(job.payload)
        return try await service.enrich(job, context) { pool in
            try await AccountSubject.load(payload, workspace: job.workspaceID, from: pool)
        }
    }
}

/// An account, and the domain it is looked up by.
struct AccountSubject: EnrichmentSubject {
    static let name = "Account"
    static let table = "public.accounts"
    static let endpoint = ApolloEndpoint.organization
    static let columns = AccountMapping.columns
    static let uniqueColumn = "domain"
    static let uniqueAmong = "true"
    static let columnsWithUnique: [String] = []
    static let stamps = ["technologies": "tech_stack_last_updated = clock_timestamp()"]
    static let noMatch = "No organization data found"

    let id: UUID
    let domain: String

    var lookup: CacheLookup { CacheLookup(.domain, domain) }

    /// - Throws: `JobFailure` when the account is absent or nothing identifies its company; `PostgresError`.
    static func load(
        _ payload: AccountPayload, workspace: UUID, from pool: ConnectionPool
    ) async throws -> AccountSubject {
        let rows = try await pool.query(
            """
            /* jobworker:enrichment.account */
            SELECT domain FROM public.accounts WHERE id = \(payload.accountID) AND workspace_id = \(workspace)
            """)
        guard let row = rows.first else { throw JobFailure.permanent("Account not found: \(payload.accountID.text)") }
        return AccountSubject(
            id: payload.accountID, domain: try domain(payload, stored: try row.decodeIfPresent("domain")))
    }

    /// The payload's domain, else the account's.
    static func domain(_ payload: AccountPayload, stored: String?) throws(JobFailure) -> String {
        if let domain = payload.domain { return domain }
        guard let stored = stored?.cleaned else {
            throw .permanent(
                """
                No domain available: neither the job nor the account \(payload.accountID.text) has one. Enter \
                the company's domain in the account.
                """
            )
        }
        guard let domain = CompanyDomain.normalized(stored) else {
            throw .permanent(
                """
                No domain available: the account \(payload.accountID.text) has \
                '\(stored.withoutPersonalData.prefix(100))', which is no domain. Correct it in the account.
                """
            )
        }
        return domain
    }

    func ask(_ apollo: ApolloClient, key: APIKey) async throws -> ApolloClient.Reply {
        try await apollo.organization(domain: domain, key: key)
    }

    func changes(_ record: ApolloRecord, stored: StoredRow, year: Int) -> [ColumnChange] {
        AccountMapping.changes(record, stored: stored, year: year)
    }

    func summary(_ record: ApolloRecord) -> JSONValue { AccountMapping.summary(record) }
}
