import Bench
import Development
import JobWorker
import Postgres
import Support
import Testing

/// That each measurement measures something, and leaves nothing behind. Never how much.
@Suite(.database(), .serialized) struct BenchCommandTests {
    let database = TestDatabase.current

    private func figures(_ arguments: String...) async throws -> JSONValue {
        let run = try await CommandRun.of(
            arguments: ["bench"] + arguments + ["--json"], database: database, role: "postgres")
        #expect(run.status == 0, "\(run.error)")
        #expect(try await leftBehind() == [])
        return try run.json()
    }

    private func leftBehind() async throws -> [String] {
        try await database.pool.query(
            """
            SELECT datname::text AS name FROM pg_database WHERE datname LIKE 'jobworker\\_bench%'
            UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE 'jobworker\\_bench%'
            """
        ).map { try $0.decode("name", as: String.self) }
    }

    private func isPositive(_ value: JSONValue?) -> Bool { (value?.double ?? 0) > 0 }

    @Test func `the measured worker acts as a member of jobworker for whom the row policies hold`() async throws {
        let measured = try await BenchDatabase.create(
            connectionString: database.server.connectionString(database: "postgres"))
        let worker = try await Connection.open(measured.workerSettings)
        let row = try await worker.query(
            """
            SELECT current_database()::text AS database, row_security_active('public.jobs') AS is_bound,
                   pg_has_role('jobworker', 'USAGE') AS is_member
            """
        ).first
        #expect(try row?.decode("database", as: String.self) == measured.name)
        #expect(try row?.decode("is_bound", as: Bool.self) == true)
        #expect(try row?.decode("is_member", as: Bool.self) == true)
        await worker.close()
        try await measured.drop()
        #expect(try await leftBehind() == [])
    }

    @Test func `throughput is told with and without log rows, beside pgbench's`() async throws {
        let json = try await figures("throughput", "--jobs", "100", "--max-concurrent", "5", "--runs", "2")
        for name in ["jobs_per_second", "ceiling_jobs_per_second", "ceiling_with_rows_jobs_per_second"] {
            #expect(json[name]?["count"] == 2 && isPositive(json[name]?["p50"]), "\(name)")
        }
        #expect(isPositive(json["without_log_rows"]?["jobs_per_second"]?["p50"]))
        #expect(isPositive(json["ratio"]) && isPositive(json["peak_megabytes"]))
        // Of so few jobs it may be less than the kernel counts.
        #expect(json["worker_cpu_seconds_per1000_jobs"]?.double != nil)
        #expect(json["server_cpu_seconds_per1000_jobs"]?.double != nil)
        #expect(json["role"]?.string?.contains("member of jobworker") == true)
        // With few slots pgbench's statement is one already.
        #expect(json["one_statement"] == nil)
    }

    @Test func `throughput of many slots is told beside one statement that completes and claims, too`() async throws {
        let json = try await figures("throughput", "--jobs", "400", "--max-concurrent", "20", "--runs", "1")
        let (alone, fused) = (
            json["ceiling_with_rows_jobs_per_second"]?["p50"], json["one_statement"]?["jobs_per_second"]?["p50"]
        )
        #expect(isPositive(alone) && isPositive(fused))
        let (jobs, ratio) = (json["jobs_per_second"]?["p50"]?.double, json["one_statement"]?["ratio"]?.double)
        #expect(try #require(ratio) == #require(jobs) / #require(fused?.double))
    }

    @Test func `latency is told idle and under load, beside the floor`() async throws {
        let json = try await figures("latency", "--jobs", "3", "--max-concurrent", "4")
        for part in ["idle", "half_load"] {
            for times in ["milliseconds", "floor_milliseconds", "bare_milliseconds"] {
                #expect(json[part]?[times]?["count"] == 3, "\(times)")
            }
            #expect(isPositive(json[part]?["ratio_p50"]) && isPositive(json[part]?["ratio_p99"]))
        }
    }

    @Test func `rates of adding are told without a worker, with an idle one and with a busy one`() async throws {
        let json = try await figures("enqueue", "--jobs", "1000", "--clients", "2", "--runs", "1")
        for way in ["one_by_one", "concurrent", "batches"] {
            #expect(isPositive(json[way]?["ratio"]) && isPositive(json[way]?["measured"]?["p50"]))
            #expect(isPositive(json["idle_worker"]?[way]?["ratio"]))
            #expect(isPositive(json["saturated_worker"]?[way]?["ratio"]))
        }
    }

    @Test func `claims are told for every crowd of rows, beside the table without`() async throws {
        let json = try await figures(
            "claim", "--claims", "3", "--batch", "2", "--finished", "200", "--future", "100", "--other-queues", "100",
            "--unserved", "50", "--churned", "1500", "--churn-seconds", "1", "--snapshot-seconds", "2", "--retired",
            "3000")
        let conditions = try #require(json["conditions"]?.array)
        #expect(conditions.map { $0["rows"] } == [200, 100, 100, 50, 1500, 1500, 3000])
        #expect(conditions.map { $0["seconds"] } == [0, 0, 0, 0, 1, 2, 0])
        #expect(conditions.map { isPositive($0["retired"]) } == [false, false, false, false, false, false, true])
        for condition in conditions {
            for kind in ["claim", "look", "poll"] {
                #expect(condition[kind]?["milliseconds"]?["count"] == 3, "\(kind)")
                #expect(isPositive(condition[kind]?["ratio_p50"]), "\(kind)")
            }
        }
    }

    @Test func `a crowd of no rows is left out`() async throws {
        let json = try await figures(
            "claim", "--claims", "1", "--finished", "0", "--future", "0", "--other-queues", "0", "--unserved", "10",
            "--churned", "0", "--retired", "0")
        #expect(json["conditions"]?.array?.count == 1)
    }

    @Test func `an idle worker's start, memory and connections are told`() async throws {
        let json = try await figures("idle", "--starts", "2", "--seconds", "1")
        #expect(json["start_to_ready_milliseconds"]?["count"] == 2)
        #expect(json["start_to_first_job_milliseconds"]?["count"] == 2)
        #expect(isPositive(json["start_to_first_job_milliseconds"]?["min"]) && isPositive(json["resident_megabytes"]))
        #expect((1...3).contains(json["connections"]?.double ?? 0))
        #expect(json["cpu_percent"]?.double != nil && json["transactions_per_minute"]?.double != nil)
    }

    @Test func `memory is told idle, with running jobs and after many`() async throws {
        let json = try await figures("memory", "--jobs", "50", "--max-concurrent", "3")
        for name in ["idle", "running", "after", "peak"] { #expect(isPositive(json[name]), "\(name)") }
        #expect(json["jobs"] == 50 && json["slots"] == 3)
    }

    @Test func `a login that may make databases and no roles is measured as itself`() async throws {
        let login = "bench_\(String(UInt64.random(in: .min ... .max), radix: 36))"
        _ = try await database.pool.query(Statement(stringLiteral: "CREATE ROLE \(login) LOGIN CREATEDB"))
        let run = try await CommandRun.of(
            arguments: [
                "bench", "claim", "--claims", "1", "--finished", "10", "--future", "0", "--other-queues", "0",
                "--unserved", "0", "--churned", "0", "--retired", "0", "--json",
            ],
            database: database, role: login)
        _ = try await database.pool.query(Statement(stringLiteral: "DROP ROLE \(login)"))
        #expect(run.status == 0, "\(run.error)")
        #expect(try run.json()["role"]?.string?.contains("the login itself") == true)
    }

    @Test(arguments: [
        (["throughput", "--jobs", "99"], "--jobs must be 100 to 10000000"),
        (["throughput", "--max-concurrent", "0"], "--max-concurrent must be 1 to 10000"),
        (["throughput", "--processes", "101"], "--processes must be 1 to 100"),
        (["throughput", "--runs", "0"], "--runs must be 1 to 100"),
        (["latency", "--max-concurrent", "1"], "--max-concurrent must be 2 to 1000"),
        (["enqueue", "--clients", "91"], "--clients must be 1 to 90"),
        (["claim", "--future=-1"], "--future must be 0 to 1000000000"),
        (["claim", "--batch", "0"], "--batch must be 1 to 1000"),
        (["claim", "--snapshot-seconds", "86401"], "--snapshot-seconds must be 0 to 86400"),
        (["idle", "--seconds", "0"], "--seconds must be 1 to 86400"),
        (["memory", "--jobs", "0"], "--jobs must be 1 to 1000000000"),
    ])
    func `an option out of range is refused before anything is measured`(
        arguments: [String], complaint: String
    ) async throws {
        let run = try await CommandRun.of(arguments: ["bench"] + arguments)
        #expect(run.status == 64)
        #expect(run.error.contains(complaint))
    }
}
