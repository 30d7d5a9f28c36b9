package import Postgres

/// An index, as the catalogue has it.
package struct IndexState: Sendable, Hashable {
    package let name: String
    /// False after a CREATE INDEX CONCURRENTLY that failed: it costs and is of no use.
    package let isValid: Bool
    /// Of the file.
    package let bytes: Int
    /// As counted by the last VACUUM or ANALYZE; `nil` before the first.
    package let entries: Double?

    package init(name: String, isValid: Bool = true, bytes: Int = 0, entries: Double? = nil) {
        self.name = name
        self.isValid = isValid
        self.bytes = bytes
        self.entries = entries
    }
}

/// How a table is kept tidy.
package struct TableUpkeep: Sendable, Hashable {
    package var name: String
    package var live = 0
    /// Versions of rows that nobody sees and that VACUUM has not cleared away yet.
    package var dead = 0
    /// `nil` where that never happened since the statistics began.
    package var lastVacuum: Duration?
    package var isAutovacuumed = true
    package var isAnalyzed = true
    /// Transactions since its oldest rows were frozen; the server stops at about two thousand million.
    package var freezeAge = 0
    /// Of the table without its indexes and large values.
    package var bytes = 0
    /// What its rows would take if they lay close together; `nil` where nobody has counted them.
    package var neededBytes: Double?

    package init(name: String) { self.name = name }
}

/// Triggers by table and name, as `public.jobs.jobs_insert`, and whether they fire.
package typealias TriggerStates = [String: Bool]

extension JobStore {
    /// The indexes of these names in the schemas `public` and `jobworker`.
    package func indexes(named names: [String]) async throws(PostgresError) -> [IndexState] {
        let rows = try await pool.query(
            """
            /* jobworker:survey.indexes */
            SELECT class.relname::text AS name, index.indisvalid AND index.indisready AS is_valid,
                   pg_relation_size(class.oid) AS bytes, nullif(class.reltuples, -1)::float8 AS entries
            FROM pg_catalog.pg_class AS class JOIN pg_catalog.pg_index AS index ON index.indexrelid = class.oid
            WHERE class.relname = ANY (\(names)) AND class.relnamespace::regnamespace::text IN ('public', 'jobworker')
            """)
        var indexes: [IndexState] = []
        for row in rows {
            indexes.append(
                IndexState(
                    name: try row.decode("name"), isValid: try row.decode("is_valid"), bytes: try row.decode("bytes"),
                    entries: try row.decodeIfPresent("entries")))
        }
        return indexes
    }

    /// The triggers of the tables in the schemas `public` and `jobworker`.
    package func triggers() async throws(PostgresError) -> TriggerStates {
        let rows = try await pool.query(
            """
            /* jobworker:survey.triggers */
            SELECT format('%s.%s.%s', class.relnamespace::regnamespace, class.relname, trigger.tgname) AS name,
                   trigger.tgenabled IN ('O', 'A')
                       -- Enabled only while there is a fair queue or a limit.
                       OR trigger.tgname IN ('jobs_turns_insert', 'jobs_turns_update') AS fires
            FROM pg_catalog.pg_trigger AS trigger JOIN pg_catalog.pg_class AS class ON class.oid = trigger.tgrelid
            WHERE NOT trigger.tgisinternal AND class.relnamespace::regnamespace::text IN ('public', 'jobworker')
            """)
        var triggers: TriggerStates = [:]
        for row in rows { triggers[try row.decode("name")] = try row.decode("fires", as: Bool.self) }
        return triggers
    }

    /// How the tables that grow and change are kept tidy.
    /// - Parameter measuredBytesMin: The size from which on a look at the rows themselves pays.
    package func upkeep(measuredBytesMin: Int = 100 << 20) async throws(PostgresError) -> [TableUpkeep] {
        let rows = try await pool.query(
            """
            /* jobworker:survey.upkeep */
            SELECT known.name, coalesce(stat.n_live_tup, 0) AS live, coalesce(stat.n_dead_tup, 0) AS dead,
                   extract(epoch FROM clock_timestamp() - greatest(stat.last_vacuum, stat.last_autovacuum))::float8
                       AS last_vacuum,
                   NOT coalesce(class.reloptions && ARRAY['autovacuum_enabled=false', 'autovacuum_enabled=off'], false)
                       AND current_setting('autovacuum')::boolean AS is_autovacuumed,
                   class.reltuples >= 0 AS is_analyzed, age(class.relfrozenxid)::bigint AS freeze_age,
                   pg_relation_size(class.oid) AS bytes,
                   -- Rows as they would lie in full pages, but for what belongs to each and what is kept free.
                   class.reltuples / (coalesce((
                       SELECT option_value::float8 FROM pg_options_to_table(class.reloptions)
                       WHERE option_name = 'fillfactor'), 100) / 100) AS padded_rows
            FROM unnest(ARRAY['public.jobs', 'public.job_logs', 'public.job_audit', 'public.job_workers',
                              'public.dead_letter_queue', 'public.job_operations',
                              'public.job_operation_items', 'public.webhook_deliveries', 'public.enrichment_cache',
                              'public.rate_limits', 'jobworker.api_requests']) AS known (name)
            JOIN pg_catalog.pg_class AS class ON class.oid = to_regclass(known.name)
            LEFT JOIN pg_catalog.pg_stat_user_tables AS stat ON stat.relid = class.oid
            ORDER BY known.name
            """)
        var tables: [TableUpkeep] = []
        for row in rows {
            var table = TableUpkeep(name: try row.decode("name"))
            table.live = try row.decode("live")
            table.dead = try row.decode("dead")
            table.lastVacuum = try row.decodeIfPresent("last_vacuum", as: Double.self).map { .seconds($0) }
            table.isAutovacuumed = try row.decode("is_autovacuumed")
            table.isAnalyzed = try row.decode("is_analyzed")
            table.freezeAge = try row.decode("freeze_age")
            table.bytes = try row.decode("bytes")
            if table.isAnalyzed, table.bytes >= measuredBytesMin, let width = try await rowWidth(table) {
                table.neededBytes = try row.decode("padded_rows", as: Double.self) * (width + 4)
            }
            tables.append(table)
        }
        return tables
    }

    /// The mean width of a row with its head, by a sample of some hundred pages; `nil` where that holds no row. The
    /// statistics would tell it, too, but not to a role that row security binds.
    private func rowWidth(_ table: TableUpkeep) async throws(PostgresError) -> Double? {
        let percent = min(100, 100 * 200.0 * 8192 / Double(max(table.bytes, 1)))
        let rows = try await pool.query(
            """
            /* jobworker:survey.width */
            SELECT avg(pg_column_size(sample.*))::float8 AS width
            FROM \(sql: table.name) AS sample TABLESAMPLE SYSTEM (\(percent))
            """)
        return try rows.first?.decodeIfPresent("width")
    }
}
