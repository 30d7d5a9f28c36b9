/// How to reach the database, and what every session of this kind is set to.
public struct ConnectionSettings: Sendable {
    /// A libpq URI or `key=value` string; empty means libpq's own environment (`PGHOST` …).
    public var connectionString: String
    /// Another database on the same server; `nil` for the one that the string names.
    public var databaseName: String?
    /// What the session is for, as `pg_stat_activity.application_name` shows it.
    public var applicationName: String
    /// Longest time to connect, name look-up apart.
    public var connectTimeout: Duration = .seconds(10)
    /// Longest time the server works on one statement; then it answers with SQLSTATE 57014.
    public var statementTimeout: Duration = .seconds(25)
    /// Longest time a statement waits for another's lock; then SQLSTATE 55P03.
    public var lockTimeout: Duration = .seconds(5)
    /// Longest silence in which an answer is still awaited; then the connection counts as lost.
    public var answerTimeout: Duration = .seconds(30)

    public init(connectionString: String, applicationName: String) {
        self.connectionString = connectionString
        self.applicationName = applicationName
    }

    /// What a session must not inherit from the role's or the database's own defaults.
    ///
    /// PostgreSQL's own names come first as long as the search path doesn't mention them, temporary tables last.
    /// Nothing is compiled (jit): the statements are short, whatever the planner expects of their many branches, and
    /// compiling one takes longer than running it a hundred times.
    var sessionStatements: String {
        """
        SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres';
        SET standard_conforming_strings = on; SET default_transaction_isolation = 'read committed';
        SET search_path = public, pg_temp; SET extra_float_digits = 1;
        SET statement_timeout = \(statementTimeout.wholeMilliseconds);
        SET lock_timeout = \(lockTimeout.wholeMilliseconds);
        SET idle_in_transaction_session_timeout = 60000; SET jit = off;
        SELECT pg_catalog.set_config('idle_session_timeout', '0', false)
        WHERE pg_catalog.current_setting('server_version_num')::int >= 140000
        """
    }

    /// libpq's parameters; the connection string's own keep-alive settings win.
    var parameters: [(keyword: String, value: String)] {
        [
            // A dead peer is noticed within about 15 s even where nobody sends.
            ("keepalives_idle", "5"), ("keepalives_interval", "3"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "15000"),
            ("dbname", connectionString),
            ("client_encoding", "UTF8"),
            ("application_name", applicationName),
        ] + (databaseName.map { [("dbname", $0)] } ?? [])
    }
}

extension Duration {
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }
}
