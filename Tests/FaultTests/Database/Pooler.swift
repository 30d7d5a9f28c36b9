import Development
import FoundationEssentials
import Glibc
import Support

/// A PgBouncer of our own in transaction mode, in front of a server; it ends with this process.
final class Pooler: Sendable {
    static var program: String? {
        ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"].first { access($0, X_OK) == 0 }
    }

    private let directory: String
    private let process: TiedProcess

    /// - Parameter poolSize: Sessions with the server, for each user and database.
    init(for server: PrivatePostgres, poolSize: Int) async throws {
        directory = "/tmp/jobworker-pooler-\(getpid())-\(String(UInt32.random(in: .min ... .max), radix: 36))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let settings = """
            [databases]
            * = host=\(server.socketDirectory) port=5432
            [pgbouncer]
            listen_addr =
            listen_port = 6432
            unix_socket_dir = \(directory)
            auth_type = trust
            auth_file = \(directory)/users
            pool_mode = transaction
            default_pool_size = \(poolSize)
            max_client_conn = 100
            """
        try settings.write(toFile: "\(directory)/ini", atomically: false, encoding: .utf8)
        try "\"\(TestDatabase.workerRole)\" \"\"\n\"postgres\" \"\"\n".write(
            toFile: "\(directory)/users", atomically: false, encoding: .utf8)
        process = TiedProcess(
            await asServerUser([Pooler.program ?? "pgbouncer", "\(directory)/ini"], owning: directory),
            log: "\(directory)/log")
        let socket = "\(directory)/.s.PGSQL.6432"
        let running = process
        try await eventually("the pooler listens") { access(socket, F_OK) == 0 || running.hasEnded }
    }

    func connectionString(database: String, role: String = TestDatabase.workerRole) -> String {
        "postgresql://\(role)@/\(database)?host=\(directory)&port=6432"
    }

    func stop() async {
        process.send(.quit)
        await process.ended()
        try? FileManager.default.removeItem(atPath: directory)
    }
}

/// A command as the user that may run server programs, which root may not, and who then owns the folder.
func asServerUser(_ command: [String], owning directory: String) async -> [String] {
    guard geteuid() == 0 else { return command }
    _ = await runProgram(["chown", "-R", "postgres:", directory])
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] + command
}
