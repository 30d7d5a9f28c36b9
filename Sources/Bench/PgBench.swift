import Development
import FoundationEssentials
import Glibc
import Postgres
import Subprocess

/// Runs PostgreSQL's own pgbench with a script, as the ceiling of what the server allows.
struct PgBench: Sendable {
    let binaries: PostgresBinaries
    let database: BenchDatabase

    /// - Parameters:
    ///   - script: In pgbench's form; https://www.postgresql.org/docs/15/pgbench.html
    ///   - clients: Sessions at once.
    ///   - transactions: Of each session.
    /// - Returns: Transactions a second, without the time to connect.
    func rate(of script: String, clients: Int, transactions: Int) async throws -> Double {
        let path = "/tmp/jobworker-pgbench-\(getpid())-\(UInt32.random(in: .min ... .max)).sql"
        try script.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let result = try await Subprocess.run(
            .name("sh"),
            arguments: [
                "-c", "exec \"$0\" \"$@\"", binaries.path(of: "pgbench"),
                "--no-vacuum", "--protocol=prepared", "--client=\(clients)", "--jobs=\(min(clients, 2))",
                "--transactions=\(transactions)", "--file=\(path)",
                try database.settings.connectionString(forDatabase: database.name),
            ], output: .string(limit: 65_536), error: .string(limit: 65_536))
        guard result.terminationStatus.isSuccess,
            let line = result.standardOutput.split(separator: "\n").first(where: { $0.hasPrefix("tps = ") }),
            let rate = line.dropFirst(6).split(separator: " ").first.flatMap({ Double($0) })
        else {
            throw DevelopmentError("pgbench failed:\n\(result.standardError.suffix(2000))")
        }
        return rate
    }
}
