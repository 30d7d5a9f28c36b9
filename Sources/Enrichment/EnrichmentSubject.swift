import FoundationEssentials
import JobWorker

/// What is enriched: an account or a contact, already read and checked.
protocol EnrichmentSubject: Sendable {
    /// "Account", "Contact".
    static var name: String { get }
    /// Schema-qualified.
    static var table: String { get }
    static var endpoint: ApolloEndpoint { get }
    /// The columns enrichment may write.
    static var columns: [String] { get }
    /// The column a unique index keeps apart within the workspace.
    static var uniqueColumn: String { get }
    /// Which other rows count for that index.
    static var uniqueAmong: String { get }
    /// Columns that make no sense without the unique one.
    static var columnsWithUnique: [String] { get }
    /// What is set together with `technologies` and the like: SQL behind `SET`, by changed column.
    static var stamps: [String: String] { get }
    /// What a member reads when Apollo knows nothing.
    static var noMatch: String { get }

    var id: UUID { get }
    var lookup: CacheLookup { get }

    func ask(_ apollo: ApolloClient, key: APIKey) async throws -> ApolloClient.Reply
    func changes(_ record: ApolloRecord, stored: StoredRow, year: Int) -> [ColumnChange]
    func summary(_ record: ApolloRecord) -> JSONValue
}
