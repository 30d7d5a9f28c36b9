import Crypto
import FoundationEssentials
import JobWorker
import Postgres

/// What a cache entry is found by, besides workspace and provider.
struct CacheLookup: Sendable, Hashable {
    enum Kind: String, Sendable {
        case domain, email
        case linkedInURL = "linkedin_url"
    }

    let kind: Kind
    /// Lower case, at most 255 characters.
    let value: String

    init(_ kind: Kind, _ value: String) {
        self.kind = kind
        let value = value.lowercased()
        // The column is that wide, and a cut value could be somebody else's.
        self.value =
            value.unicodeScalars.count <= 255
            ? value
            : "sha256:"
                + SHA256.hash(data: Data(value.utf8)).map {
                    $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16)
                }
                .joined()
    }
}

/// Apollo's answers, kept for each workspace: what was paid for once is not paid for again.
struct EnrichmentCache: Sendable {
    /// What is known without asking.
    struct Entry: Sendable, Hashable {
        /// `nil`: Apollo had no match lately.
        let record: ApolloRecord?
        /// What this very job paid for it in an attempt whose end was lost.
        let creditsOfThisJob: Int
        let fieldsOfThisJob: Int
    }

    /// How long a miss is remembered: long enough for a retried batch, short enough for data Apollo adds.
    static let missLifetime = Duration.seconds(3600)

    let pool: ConnectionPool
    let lifetime: Duration

    /// Looks a fresh entry up, and counts the hit.
    func entry(
        _ lookup: CacheLookup, workspace: UUID, member: String, job: UUID
    ) async throws(PostgresError) -> Entry? {
        let rows = try await pool.query(
            """
            /* jobworker:enrichment.cache_hit */
            UPDATE public.enrichment_cache AS entry
            SET hit_count = coalesce(entry.hit_count, 0) + 1, last_accessed_at = clock_timestamp()
            WHERE entry.workspace_id = \(workspace) AND entry.provider = 'apollo'
              AND entry.lookup_type = \(lookup.kind.rawValue) AND entry.lookup_value = \(lookup.value)
              AND (entry.expires_at > clock_timestamp()
                   -- What this very job has just paid for counts even where nothing is to be kept.
                   OR entry.created_at > clock_timestamp() - interval '1 day' AND EXISTS (
                       SELECT FROM public.job_logs AS log
                       WHERE log.job_id = \(job) AND log.metadata ? 'apollo_call'
                         AND log.created_at <= entry.created_at))
            RETURNING entry.enrichment_data::text AS data,
                (SELECT coalesce(sum((log.metadata ->> 'credits_used')::int), 0) FROM public.job_logs AS log
                 WHERE log.job_id = \(job) AND log.metadata ? 'apollo_call') AS credits,
                (SELECT coalesce(sum((log.metadata ->> 'fields_enriched')::int), 0) FROM public.job_logs AS log
                 WHERE log.job_id = \(job) AND log.metadata ? 'apollo_call') AS fields
            """)
        guard let row = rows.first else { return nil }
        // What can't be read is no entry: Apollo is asked, and it is written anew.
        guard let document = try? JSONText(row.decode("data", as: String.self)).decode(JSONValue.self) else {
            return nil
        }
        let record = ApolloRecord(in: document, member: member)
        // Only an empty document stands for a miss; anything else that isn't a record came from elsewhere.
        guard record != nil || document.object?.isEmpty == true || document[member] == .some(.null) else { return nil }
        return Entry(
            record: record, creditsOfThisJob: try row.decode("credits"), fieldsOfThisJob: try row.decode("fields"))
    }

    /// Remembers for an hour that Apollo has no match.
    func rememberMiss(_ lookup: CacheLookup, workspace: UUID) async throws {
        try await pool.transaction { connection in
            try EnrichmentCache.write(
                nil, lookup, workspace: workspace, lifetime: EnrichmentCache.missLifetime, on: connection)
        }
    }

    /// Writes an entry; it expires `lifetime` from now, whether it is new or not.
    static func write(
        _ record: ApolloRecord?, _ lookup: CacheLookup, workspace: UUID, lifetime: Duration,
        on connection: isolated Connection
    ) throws {
        let data = RawJSON(try JSONText(encoding: JSONValue.object(record?.members ?? [:])).text)
        try connection.execute(
            """
            /* jobworker:enrichment.cache_write */
            INSERT INTO public.enrichment_cache
                (workspace_id, provider, lookup_type, lookup_value, enrichment_data, data_version, created_at,
                 expires_at, last_accessed_at, hit_count)
            VALUES (\(workspace), 'apollo', \(lookup.kind.rawValue), \(lookup.value), \(data), 1, clock_timestamp(),
                    clock_timestamp() + \(lifetime), clock_timestamp(), 0)
            ON CONFLICT (workspace_id, provider, lookup_type, lookup_value) DO UPDATE
            SET enrichment_data = excluded.enrichment_data, data_version = excluded.data_version,
                created_at = excluded.created_at, last_accessed_at = excluded.last_accessed_at
            """)
        // On its own, as the application has a trigger that overrides the expiry of whatever is inserted.
        try connection.execute(
            """
            /* jobworker:enrichment.cache_expiry */
            UPDATE public.enrichment_cache SET expires_at = clock_timestamp() + \(lifetime)
            WHERE workspace_id = \(workspace) AND provider = 'apollo'
              AND lookup_type = \(lookup.kind.rawValue) AND lookup_value = \(lookup.value)
            """)
    }
}
