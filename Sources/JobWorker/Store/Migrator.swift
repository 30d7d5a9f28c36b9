import Crypto
package import Migrations
package import Postgres

/// Brings a database to the schema this program was built with.
///
/// Migrations run in order, one transaction each, under a session lock, so that several programs that
/// start at once are safe: one runs them, the others wait and find nothing left to do.
package struct Migrator: Sendable {
    /// Where one migration stands.
    package enum State: String, Sendable {
        case applied
        case pending
        /// Applied, but from a text other than this program's.
        case changed
        /// In the database, unknown to this program: the database is newer.
        case unknown
    }

    package struct Entry: Sendable {
        package let version: Int
        package let name: String
        package let state: State
        package let appliedAt: Timestamp?
    }

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// "jobworker" in hexadecimal, as far as it goes.
    private static let lockKey = 0x6a6f_6277_6f72
    /// A file with this line is one statement that commits by itself.
    private static let outsideTransaction = "-- jobworker:no-transaction"

    private let settings: ConnectionSettings
    private let migrations: [Migration]

    package init(settings: ConnectionSettings, migrations: [Migration] = Migration.all) {
        var settings = settings
        // Filling in old rows takes as long as it takes.
        settings.statementTimeout = .zero
        settings.answerTimeout = .seconds(24 * 3600)
        self.settings = settings
        self.migrations = migrations
    }

    /// Applies what is missing.
    /// - Parameter report: Called before each migration with what is about to run, and after it with the time it took.
    /// - Returns: What was applied, in order.
    /// - Throws: `PostgresError` of the first statement refused (that migration is undone), or `Failure`
    ///   where the database is newer or was made by another text.
    package func migrate(report: @Sendable (Migration, Duration?) -> Void = { _, _ in }) async throws -> [Migration] {
        let connection = try await Connection.open(settings)
        do {
            let applied = try await migrate(on: connection, report: report)
            await connection.close()
            return applied
        } catch {
            await connection.close()
            throw error
        }
    }

    private func migrate(
        on connection: Connection, report: @Sendable (Migration, Duration?) -> Void
    ) async throws -> [Migration] {
        // Waits without a time limit for another program that migrates just now.
        try await connection.runScript("SET lock_timeout = 0")
        _ = try await connection.query("/* jobworker:migrate.lock */ SELECT pg_advisory_lock(\(Migrator.lockKey))")
        try await connection.runScript("SET lock_timeout = '10s'")
        try await connection.runScript(Migrator.bookkeeping)
        let entries = try await Migrator.entries(on: connection, migrations: migrations)
        try Migrator.refuseUnknown(entries)
        var applied: [Migration] = []
        let pending = Set(entries.filter { $0.state == .pending }.map(\.version))
        for migration in migrations where pending.contains(migration.version) {
            report(migration, nil)
            let clock = ContinuousClock()
            let start = clock.now
            try await apply(migration, on: connection)
            report(migration, clock.now - start)
            applied.append(migration)
        }
        return applied
    }

    private func apply(_ migration: Migration, on connection: Connection) async throws(PostgresError) {
        let checksum = Migrator.checksum(migration)
        let record =
            """
            INSERT INTO public.jobworker_migrations (version, name, checksum)
            VALUES (\(migration.version), '\(migration.name)', '\(checksum)')
            """
        do throws(PostgresError) {
            if migration.sql.contains(Migrator.outsideTransaction) {
                // A procedure that commits must be the only statement of its message.
                try await connection.runScript(migration.sql)
                try await connection.runScript(record)
            } else {
                // One message, one transaction: a failure anywhere undoes it all.
                try await connection.runScript(
                    "BEGIN; SET LOCAL TimeZone = 'UTC'; SET LOCAL lock_timeout = '5s';\n\(migration.sql)\n;\(record); COMMIT"
                )
            }
        } catch {
            try? await connection.runScript("ROLLBACK")
            throw PostgresError(
                error.reason, operation: "migration \(migration.label)", message: error.message, detail: error.detail,
                hint: error.hint, constraint: error.constraint)
        }
    }

    /// Where each migration stands, without changing anything.
    package func status() async throws(PostgresError) -> [Entry] {
        let connection = try await Connection.open(settings)
        do throws(PostgresError) {
            let entries = try await Migrator.entries(on: connection, migrations: migrations)
            await connection.close()
            return entries
        } catch {
            await connection.close()
            throw error
        }
    }

    /// The row policies that the pending migrations would replace by their own, for people to look at first.
    package func policiesToReplace() async throws(PostgresError) -> [(
        table: String, policy: String, definition: String
    )] {
        let connection = try await Connection.open(settings)
        do throws(PostgresError) {
            let rows = try await connection.query(
                """
                /* jobworker:migrate.policies */
                SELECT tablename::text AS table_name, policyname::text AS policy_name,
                       format('%s TO %s USING (%s) WITH CHECK (%s)', cmd, array_to_string(roles, ', '),
                              coalesce(qual, '-'), coalesce(with_check, '-')) AS definition
                FROM pg_catalog.pg_policies
                WHERE schemaname = 'public'
                  AND tablename IN ('jobs', 'job_logs', 'workspace_settings', 'enrichment_cache', 'rate_limits',
                                    'dead_letter_queue')
                  AND policyname NOT LIKE 'jobworker\\_%'
                ORDER BY tablename, policyname
                """)
            await connection.close()
            var policies: [(table: String, policy: String, definition: String)] = []
            for row in rows {
                policies.append(
                    (try row.decode("table_name"), try row.decode("policy_name"), try row.decode("definition")))
            }
            return policies
        } catch {
            await connection.close()
            throw error
        }
    }

    static func entries(
        on connection: Connection, migrations: [Migration]
    ) async throws(PostgresError) -> [Entry] {
        var recorded: [Int: (name: String, checksum: String, at: Timestamp)] = [:]
        let exists = try await connection.query(
            "SELECT to_regclass('public.jobworker_migrations') IS NOT NULL AS known")
        if try exists.first?.decode("known") ?? false {
            let rows = try await connection.query(
                "/* jobworker:migrate.status */ SELECT version, name, checksum, applied_at FROM public.jobworker_migrations"
            )
            for row in rows {
                recorded[try row.decode("version")] = (
                    try row.decode("name"), try row.decode("checksum"), try row.decode("applied_at")
                )
            }
        }
        var entries: [Entry] = migrations.map { migration in
            let record = recorded.removeValue(forKey: migration.version)
            let state: State =
                if let record { record.checksum == checksum(migration) ? .applied : .changed } else { .pending }
            return Entry(version: migration.version, name: migration.name, state: state, appliedAt: record?.at)
        }
        for (version, record) in recorded.sorted(by: { $0.key < $1.key }) {
            entries.append(Entry(version: version, name: record.name, state: .unknown, appliedAt: record.at))
        }
        return entries
    }

    private static func refuseUnknown(_ entries: [Entry]) throws(Failure) {
        if let newer = entries.first(where: { $0.state == .unknown }) {
            throw Failure(
                description:
                    "the database holds migration \(newer.version) (\(newer.name)), which this program doesn't know: "
                    + "it was migrated by a newer jobworker. Install that version or a later one.")
        }
        if let changed = entries.first(where: { $0.state == .changed }) {
            throw Failure(
                description:
                    "migration \(changed.version) (\(changed.name)) was applied from another text than this program's. "
                    + "Nothing was changed. Compare the two versions of jobworker, and restore the original file.")
        }
    }

    private static func checksum(_ migration: Migration) -> String {
        SHA256.hash(data: Array(migration.sql.utf8)).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    private static let bookkeeping =
        """
        CREATE TABLE IF NOT EXISTS public.jobworker_migrations (
            version     int PRIMARY KEY,
            name        text NOT NULL,
            checksum    text NOT NULL,
            applied_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
            applied_by  text NOT NULL DEFAULT current_user,
            details     jsonb NOT NULL DEFAULT '{}'
        )
        """
}

extension JobStore {
    /// Whether the database's schema is this program's.
    package enum SchemaState: Sendable, Equatable {
        case current
        /// Older or absent: `jobworker migrate` is needed.
        case behind(missing: Int)
        /// Newer than this program knows.
        case ahead(version: Int)
    }

    /// Compares the schema with this program's, in one read.
    package func schemaState(migrations: [Migration] = Migration.all) async throws(PostgresError) -> SchemaState {
        do throws(PostgresError) {
            let rows = try await pool.query(
                "/* jobworker:schema */ SELECT version FROM public.jobworker_migrations ORDER BY version")
            var versions: Set<Int> = []
            for row in rows { versions.insert(try row.decode("version")) }
            let known = Set(migrations.map(\.version))
            if let newer = versions.subtracting(known).max() { return .ahead(version: newer) }
            let missing = known.subtracting(versions).count
            return missing == 0 ? .current : .behind(missing: missing)
        } catch {
            // No such table, or no right to see it before the migration grants it.
            if error.sqlState == "42P01" { return .behind(missing: migrations.count) }
            throw error
        }
    }
}
