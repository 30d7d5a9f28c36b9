import Development
import FoundationEssentials
import JobWorker
import Postgres
import Support

/// The PostgreSQL inside a sandbox, as its superuser sees it from outside.
final class SandboxDatabase: Sendable {
    static let workspace = TestDatabase.workspace.uuidString.lowercased()
    private let pool: ConnectionPool

    init(_ sandbox: Sandbox) {
        pool = ConnectionPool(
            ConnectionSettings(
                connectionString: "host=\(sandbox.root)/run/postgresql dbname=app user=postgres",
                applicationName: "jobworker tests"), limit: 2)
    }

    func close() async { await pool.close() }

    func run(_ sql: String) async throws { try await pool.withConnection { try await $0.runScript(sql) } }

    /// The one value that a query gives.
    func value<Value: PostgresDecodable>(_ sql: String, as type: Value.Type = Value.self) async throws -> Value? {
        guard let row = try await pool.query(Statement(stringLiteral: sql)).first, let column = row.texts.first?.column
        else { return nil }
        return try row.decodeIfPresent(column, as: type)
    }

    func count(_ condition: String, of table: String = "public.jobs") async throws -> Int {
        try await value("SELECT count(*) FROM \(table) WHERE \(condition)") ?? 0
    }

    func insertJobs(_ number: Int, _ type: String = "noop", payload: String = "{}") async throws {
        try await run(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload)
            SELECT '\(Self.workspace)', '\(type)', '\(payload)' FROM generate_series(1, \(number))
            """)
    }

    /// Adds one and gives its id.
    func insertJob(_ type: String, payload: String = "{}") async throws -> String {
        let id: String? = try await value(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload)
            VALUES ('\(Self.workspace)', '\(type)', '\(payload)') RETURNING id::text
            """)
        guard let id else { throw DevelopmentError("an inserted job has no id") }
        return id
    }

    /// Waits until so many jobs are in a state.
    func waitUntil(_ number: Int, _ condition: String, atMost limit: Duration = .seconds(60)) async throws {
        try await eventually("\(number) jobs: \(condition)", atMost: limit) { try await count(condition) >= number }
    }

    /// Jobs whose log tells of success more than once.
    func jobsCompletedTwice() async throws -> Int {
        try await value(
            """
            SELECT count(*) FROM (SELECT job_id FROM public.job_logs WHERE message LIKE 'Completed in %'
                                  GROUP BY job_id HAVING count(*) > 1) AS doubled
            """) ?? 0
    }
}
