import Development
import FoundationEssentials
import Glibc
import Postgres
import Subprocess

/// Runs PostgreSQL's own pgbench with a script, as the ceiling of what the server allows.
package struct PgBench: Sendable {
    private let program: String
    private let connectionString: String

    /// - Parameter connectionString: Names the database too.
    init(connectionString: String) async throws {
        program = try await PostgresBinaries.find().path(of: "pgbench")
        self.connectionString = connectionString
    }

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
                "-c", "exec \"$0\" \"$@\"", program,
                "--no-vacuum", "--protocol=prepared", "--client=\(clients)", "--jobs=\(min(clients, 2))",
                "--transactions=\(transactions)", "--file=\(path)", connectionString,
            ], output: .string(limit: 65_536), error: .string(limit: 65_536))
        // It ends with status 2 where one transaction in a thousand met a deadlock, too.
        guard let rate = PgBench.rate(in: result.standardOutput) else {
            throw DevelopmentError(
                "pgbench failed:\n\(result.standardOutput.suffix(1000))\(result.standardError.suffix(2000))")
        }
        return rate
    }

    /// - Parameter output: What pgbench wrote, of version 10 or later.
    /// - Returns: Transactions a second, without the time to connect; `nil` where it tells none, or where more than one in a hundred failed.
    package static func rate(in output: String) -> Double? {
        var rate: Double?
        for line in output.split(separator: "\n") {
            if line.hasPrefix("number of failed transactions: ") {
                let percentage = line.split(separator: "(").last?.prefix { $0 != "%" }
                guard let percentage, let percentage = Double(percentage), percentage <= 1 else { return nil }
            }
            // Before version 14 there are two lines; one of them counts the time to connect.
            guard line.hasPrefix("tps = "), !line.contains("including") else { continue }
            rate = line.dropFirst(6).split(separator: " ").first.flatMap { Double($0) }
        }
        return rate
    }
}
