import FoundationEssentials
public import JobWorker
import Postgres

/// Runs `enrich_contact`: looks a person up by e-mail address, else by LinkedIn address, and fills the contact's
/// columns in. Personal data stays out of its log rows and messages.
public struct EnrichContact: JobProcessor {
    public let jobTypes = ["enrich_contact"]
    private let service: EnrichmentService

    public init(service: EnrichmentService) {
        self.service = service
    }

    public func process(_ job: Job, context: JobContext) async throws -> JSONText? {
        let payload = try ContactPayload(job.payload)
        return try await service.enrich(job, context) { pool in
            try await ContactSubject.load(payload, workspace: job.workspaceID, from: pool)
        }
    }
}

/// A contact, and what it is looked up by.
struct ContactSubject: EnrichmentSubject {
    static let name = "Contact"
    static let table = "public.contacts"
    static let endpoint = ApolloEndpoint.person
    static let columns = ContactMapping.columns
    static let uniqueColumn = "email"
    static let uniqueAmong = "status IS DISTINCT FROM 'archived'"
    static let columnsWithUnique = ["email_status"]
    static let stamps: [String: String] = [:]
    static let noMatch = "No person data found"

    let id: UUID
    let query: PersonQuery
    let lookup: CacheLookup

    /// - Throws: `JobFailure` when the contact is absent or nothing identifies the person; `PostgresError`.
    static func load(
        _ payload: ContactPayload, workspace: UUID, from pool: ConnectionPool
    ) async throws -> ContactSubject {
        let rows = try await pool.query(
            """
            /* jobworker:enrichment.contact */
            SELECT contacts.email, contacts.first_name, contacts.last_name, contacts.linkedin_url, accounts.domain
            FROM public.contacts
            LEFT JOIN public.accounts
                ON accounts.id = contacts.account_id AND accounts.workspace_id = contacts.workspace_id
            WHERE contacts.id = \(payload.contactID) AND contacts.workspace_id = \(workspace)
            """)
        guard let row = rows.first else { throw JobFailure.permanent("Contact not found: \(payload.contactID.text)") }
        return try ContactSubject(payload, stored: StoredRow(row))
    }

    /// - Parameter stored: The contact's `email`, `first_name`, `last_name`, `linkedin_url`, its account's `domain`.
    init(_ payload: ContactPayload, stored: StoredRow) throws(JobFailure) {
        let known = [payload.email, stored["email"]?.cleaned].compactMap { $0 }
        let email = known.first { EmailAddress.isPlausible($0) && !EmailAddress.isPlaceholder($0) }
        let linkedIn =
            payload.linkedInURL
            ?? stored["linkedin_url"]?.cleaned.flatMap {
                LinkedInAddress.isPlausible($0) ? $0 : nil
            }
        if let email {
            lookup = CacheLookup(.email, email)
        } else if let linkedIn {
            lookup = CacheLookup(.linkedInURL, LinkedInAddress.cacheValue(linkedIn))
        } else {
            throw .permanent(
                """
                Email or LinkedIn URL required: neither the job nor the contact \(payload.contactID.text) has \
                one. Enter one in the contact.
                """
            )
        }
        id = payload.contactID
        query = PersonQuery(
            email: email, linkedInURL: linkedIn, firstName: payload.firstName ?? stored["first_name"]?.cleaned,
            lastName: payload.lastName ?? stored["last_name"]?.cleaned,
            domain: stored["domain"].flatMap { CompanyDomain.normalized($0) })
    }

    func ask(_ apollo: ApolloClient, key: APIKey) async throws -> ApolloClient.Reply {
        try await apollo.person(query, key: key)
    }

    func changes(_ record: ApolloRecord, stored: StoredRow, year: Int) -> [ColumnChange] {
        ContactMapping.changes(record, stored: stored)
    }

    func summary(_ record: ApolloRecord) -> JSONValue { ContactMapping.summary(record) }
}
