import FoundationEssentials
import Glibc
import Postgres
import Synchronization

/// A PostgreSQL server of our own, made from the installed programs. It ends with this process.
package final class PrivatePostgres: Sendable {
    package struct Options: Sendable {
        /// Whether data survive a crash of the machine. Without, everything that writes is much faster.
        package var isDurable = true
        /// Whether the server can also be reached on 127.0.0.1, with a password.
        package var listensOnTCP = false
        /// More of `postgresql.conf`.
        package var settings: [String: String] = [:]
        /// Whether the folder is removed by `stop()`, and when this process has died.
        package var isTemporary = false

        package init() {}
    }

    package enum StopMode: Sendable {
        /// Ends the sessions and closes the data properly.
        case fast
        /// Ends at once, as a crash does; the next start recovers.
        case immediate
    }

    package let directory: String
    package let binaries: PostgresBinaries
    /// On 127.0.0.1; `nil` unless asked for.
    package let tcpPort: Int?
    package let socketDirectory: String
    private let options: Options
    private let user: ServerUser
    private let password: String
    /// Held only to swap the process, never over an await.
    private let process = Mutex<TiedProcess?>(nil)

    /// Part of the socket's name too.
    private var port: Int { tcpPort ?? 5432 }
    private var log: String { directory + "/server.log" }

    /// Makes the cluster in `directory`, unless it is there from an earlier time, and starts the server.
    /// - Returns: When it accepts connections.
    package static func start(in directory: String, options: Options = Options()) async throws -> PrivatePostgres {
        let binaries = try await PostgresBinaries.find()
        let user = try ServerUser()
        let directory =
            directory.hasPrefix("/") ? directory : FileManager.default.currentDirectoryPath + "/" + directory
        try user.makeDirectory(directory)
        let server = PrivatePostgres(
            directory: directory, binaries: binaries, tcpPort: options.listensOnTCP ? try freePort() : nil,
            socketDirectory: try makeSocketDirectory(user), options: options, user: user,
            password: try storedPassword(in: directory, user: user))
        do {
            try await server.makeCluster()
            try await server.launch()
        } catch {
            await server.stop(.immediate)
            throw error
        }
        return server
    }

    private init(
        directory: String, binaries: PostgresBinaries, tcpPort: Int?, socketDirectory: String, options: Options,
        user: ServerUser, password: String
    ) {
        self.directory = directory
        self.binaries = binaries
        self.tcpPort = tcpPort
        self.socketDirectory = socketDirectory
        self.options = options
        self.user = user
        self.password = password
    }

    /// A libpq URI over the Unix socket, for `psql` and `pgbench` as well.
    /// - Parameter role: Of the cluster; needs no password. The default is its superuser.
    package func connectionString(database: String = "postgres", role: String = "postgres") -> String {
        // The socket's path has no character that a URI would have to escape.
        "postgresql://\(role)@/\(database)?host=\(socketDirectory)&port=\(port)"
    }

    /// A libpq URI over TCP; `nil` unless the server was started for that.
    package func tcpConnectionString(database: String = "postgres") -> String? {
        tcpPort.map { "postgresql://postgres:\(password)@127.0.0.1:\($0)/\(database)" }
    }

    /// Stops the server; it has ended when this returns. Harmless when it has stopped already.
    package func stop(_ mode: StopMode = .fast) async {
        await end(mode)
        try? FileManager.default.removeItem(atPath: socketDirectory)
        if options.isTemporary { try? FileManager.default.removeItem(atPath: directory) }
    }

    /// As a crash of the server: no session is told, nothing is closed.
    package func stopImmediately() async { await stop(.immediate) }

    /// Stops the server and starts it again, at the same addresses.
    /// - Parameter whileStopped: Called in between.
    package func restart(
        _ mode: StopMode = .fast, whileStopped: () async throws -> Void = {}
    ) async throws {
        await end(mode)
        try await whileStopped()
        try await launch()
    }

    private func end(_ mode: StopMode) async {
        guard
            let running = process.withLock({ process in
                defer { process = nil }
                return process
            })
        else { return }
        switch mode {
        case .fast: running.send(.interrupt)
        case .immediate: running.send(.quit)
        }
        await running.ended()
    }
}

// MARK: - Making and starting it

extension PrivatePostgres {
    private var data: String { directory + "/data" }

    private var orphaning: TiedProcess.Orphaning {
        TiedProcess.Orphaning(signal: .quit, removes: [socketDirectory] + (options.isTemporary ? [directory] : []))
    }

    private func makeCluster() async throws {
        guard access(data + "/PG_VERSION", F_OK) != 0 else { return }
        try user.makeDirectory(data)
        let command = user.command(
            [
                binaries.path(of: "initdb"), "--pgdata=\(data)", "--username=postgres",
                "--pwfile=\(directory)/password",
                "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8",
            ] + (options.isDurable ? [] : ["--no-sync"]))
        guard await TiedProcess(command, log: log, orphaning: orphaning).ended() == 0 else {
            throw DevelopmentError("PostgreSQL's initdb failed in \(data):\n\(logEnd)")
        }
    }

    private func launch() async throws {
        var settings = [
            "unix_socket_directories": socketDirectory,
            "listen_addresses": tcpPort == nil ? "" : "127.0.0.1",
            "port": String(port),
        ]
        if !options.isDurable {
            settings.merge(["fsync": "off", "full_page_writes": "off"]) { $1 }
        }
        settings.merge(options.settings) { $1 }
        let started = TiedProcess(
            user.command(
                [binaries.path(of: "postgres"), "-D", data]
                    + settings.sorted { $0.key < $1.key }.flatMap { ["-c", "\($0.key)=\($0.value)"] }),
            log: log, orphaning: orphaning)
        process.withLock { $0 = started }
        try await waitUntilReady(started)
    }

    /// Tries to connect until that succeeds, or until the server has ended by itself.
    private func waitUntilReady(_ server: TiedProcess) async throws {
        var settings = ConnectionSettings(connectionString: connectionString(), applicationName: "jobworker start")
        settings.connectTimeout = .seconds(5)
        let deadline = ContinuousClock.now + .seconds(120)
        while !server.hasEnded, ContinuousClock.now < deadline {
            if let connection = try? await Connection.open(settings) {
                await connection.close()
                return
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw DevelopmentError("The private PostgreSQL in \(directory) didn't start:\n\(logEnd)")
    }

    private var logEnd: String {
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? "(there is no log)"
        return text.split(separator: "\n").suffix(10).joined(separator: "\n")
    }

    /// Its path must be short: a socket's address has room for 107 bytes.
    private static func makeSocketDirectory(_ user: ServerUser) throws(DevelopmentError) -> String {
        var template = Array("/tmp/jobworker-pg-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw DevelopmentError("No folder for sockets can be made in /tmp: \(String(cString: strerror(errno)))")
        }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        try user.give(path)
        return path
    }

    /// The superuser's password for TCP; made at random with the cluster.
    private static func storedPassword(in directory: String, user: ServerUser) throws -> String {
        let path = directory + "/password"
        if let stored = try? String(contentsOfFile: path, encoding: .utf8) {
            return String(stored.prefix { $0 != "\n" })
        }
        let password = (0..<4).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined()
        try (password + "\n").write(toFile: path, atomically: false, encoding: .utf8)
        chmod(path, 0o600)
        try user.give(path)
        return password
    }

    private static func freePort() throws(DevelopmentError) -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, length) == 0 ? getsockname(descriptor, address, &length) : -1
            }
        }
        guard result == 0 else {
            throw DevelopmentError("No free port on 127.0.0.1: \(String(cString: strerror(errno)))")
        }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
