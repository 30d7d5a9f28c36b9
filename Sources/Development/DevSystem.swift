import Enrichment
import FoundationEssentials
import Glibc
import HTTPClient
import JobWorker
package import Postgres

/// The whole system on one machine, for trying it: a private PostgreSQL, a stand-in for Apollo.io and a worker,
/// each a process of its own that ends with this one.
package final class DevSystem: Sendable {
    package struct Options: Sendable {
        /// Where everything is kept; a folder in `/tmp` that is removed at the end where it is `nil`.
        package var directory: String?
        /// Where the control plane listens besides its socket; `nil` for a free port on loopback.
        package var httpListen: String?
        package var maxConcurrent = 5
        /// Delay before the second attempt of a failed job; short, so that a retry can be watched.
        package var retryDelayBase = Duration.seconds(2)
        package var apolloLatency = Duration.milliseconds(150)

        package init() {}
    }

    package let directory: String
    package let isKept: Bool
    package let token: String
    /// Where the worker listens for HTTP besides its socket, as `127.0.0.1:8080`.
    package let httpListen: String?
    package let pool: ConnectionPool
    package let database: PrivatePostgres
    private let vault: KeyVault
    package let encryptionKeys: String
    private let options: Options
    private let client = Client()
    private let standin: Live<Standin?> = Live(nil)
    private let worker: Live<TiedProcess?> = Live(nil)
    private let workerLines: @Sendable (String) -> Void

    package var socketPath: String { directory + "/worker.sock" }
    package var databaseURL: String { database.connectionString(database: DevSystem.databaseName) }
    private static let databaseName = "jobworker"

    /// Starts the database, brings it to the program's schema and adds the sample workspace.
    /// - Parameter workerLines: Gets each line of the worker's log.
    package static func start(
        _ options: Options, workerLines: @escaping @Sendable (String) -> Void
    ) async throws -> DevSystem {
        let directory = try options.directory.map { try keptDirectory($0) } ?? temporaryDirectory()
        let secrets = try Secrets.load(from: directory)
        var server = PrivatePostgres.Options()
        server.isTemporary = options.directory == nil
        let database = try await PrivatePostgres.start(in: directory + "/postgres", options: server)
        do {
            try await createDatabase(on: database)
            let settings = ConnectionSettings(
                connectionString: database.connectionString(database: databaseName), applicationName: "jobworker dev")
            _ = try await Migrator(settings: settings).migrate()
            let system = DevSystem(
                directory: directory, options: options, secrets: secrets, database: database,
                pool: ConnectionPool(settings, limit: 2), vault: try KeyVault(parsing: secrets.encryptionKeys),
                workerLines: workerLines)
            guard let key = APIKey("good-sample-key-of-the-stand-in") else { return system }
            try await SampleWorkspace.create(in: system.pool, key: key, vault: system.vault)
            return system
        } catch {
            await database.stop()
            throw error
        }
    }

    private init(
        directory: String, options: Options, secrets: Secrets, database: PrivatePostgres, pool: ConnectionPool,
        vault: KeyVault, workerLines: @escaping @Sendable (String) -> Void
    ) {
        self.directory = directory
        self.options = options
        self.database = database
        self.pool = pool
        self.vault = vault
        self.workerLines = workerLines
        isKept = options.directory != nil
        httpListen = options.httpListen ?? Self.freeAddress()
        token = secrets.token
        encryptionKeys = secrets.encryptionKeys
    }

    /// An address on loopback that nobody uses now; `nil` where there is none.
    private static func freeAddress() -> String? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 && getsockname(descriptor, pointer, &length) == 0
            }
        }
        return isBound ? "127.0.0.1:\(UInt16(bigEndian: address.sin_port))" : nil
    }

    // MARK: Apollo.io and the worker

    /// Starts the stand-in for Apollo.io.
    /// - Returns: Its address.
    package func startStandin() async throws -> String {
        let milliseconds = Int((options.apolloLatency / .milliseconds(1)).rounded())
        let started = try await Standin.start(["--latency-ms", String(milliseconds)])
        standin.value = started
        return started.url
    }

    /// Starts `jobworker run`, this very program, with settings of its own; returns when it is ready.
    package func startWorker(program: String) async throws {
        guard let apollo = standin.value else {
            throw DevelopmentError("The stand-in for Apollo.io must be started first")
        }
        var variables = [
            "DATABASE_URL": databaseURL, "WORKER_INSTANCE": "dev", "WORKER_SOCKET": socketPath,
            "RUNTIME_DIRECTORY": directory, "WORKER_SECRET_TOKEN": token, "WORKER_ENCRYPTION_KEYS": encryptionKeys,
            "APOLLO_BASE_URL": apollo.url, "WORKER_DIAGNOSTIC_JOBS": "true",
            "WORKER_MAX_CONCURRENT": String(options.maxConcurrent), "WORKER_LOG_FORMAT": "text",
            "WORKER_RETRY_BASE_SECONDS": String(options.retryDelayBase.components.seconds),
        ]
        variables["WORKER_HTTP_LISTEN"] = httpListen
        let process = TiedProcess([program, "run"], environment: variables)
        worker.value = process
        let lines = workerLines
        Task { for await line in process.lines { lines(line) } }
        try await waitUntilReady(process)
    }

    private func waitUntilReady(_ process: TiedProcess) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while !process.hasEnded, ContinuousClock.now < deadline {
            let request = Request(url: "http://worker/readyz", timeout: .seconds(2), unixSocketPath: socketPath)
            if let response = try? await client.send(request), response.status == 200 { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw DevelopmentError("The worker did not become ready; its log is above")
    }

    /// The worker's health document, as it answers it.
    package func health() async throws -> String {
        let response = try await client.send(
            Request(url: "http://worker/health", timeout: .seconds(5), unixSocketPath: socketPath))
        return String(decoding: response.body, as: UTF8.self)
    }

    /// Waits until the worker ends by itself.
    package func workerEnded() async { await worker.value?.ended() }

    /// Ends everything, the worker first; removes the folder unless it is kept.
    package func stop() async {
        worker.value?.send(.terminate)
        await worker.value?.ended()
        await standin.value?.stop()
        await client.shutdown()
        await pool.close()
        await database.stop()
        if !isKept { try? FileManager.default.removeItem(atPath: directory) }
    }

    // MARK: Folders

    private static func keptDirectory(_ path: String) throws -> String {
        let absolute = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
        try FileManager.default.createDirectory(atPath: absolute, withIntermediateDirectories: true)
        guard (absolute + "/worker.sock").utf8.count <= 107 else {
            throw DevelopmentError(
                "\(absolute) is too long: a socket's path has room for 107 bytes; choose a shorter folder")
        }
        return absolute
    }

    private static func temporaryDirectory() throws -> String {
        var template = Array("/tmp/jobworker-dev-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw DevelopmentError("No folder can be made in /tmp: \(String(cString: strerror(errno)))")
        }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // The database's own folder is inside and may belong to another user.
        chmod(path, 0o711)
        return path
    }

    private static func createDatabase(on server: PrivatePostgres) async throws {
        let connection = try await Connection.open(
            ConnectionSettings(connectionString: server.connectionString(), applicationName: "jobworker dev"))
        let known = try await connection.query("SELECT 1 AS one FROM pg_database WHERE datname = \(databaseName)")
        if known.isEmpty { try await connection.runScript("CREATE DATABASE \(databaseName)") }
        await connection.close()
    }
}

/// What the system keeps to itself, the same at the next start in the same folder.
private struct Secrets {
    let token: String
    let encryptionKeys: String

    static func load(from directory: String) throws -> Secrets {
        let path = directory + "/secrets"
        if let text = try? String(contentsOfFile: path, encoding: .utf8) {
            let lines = text.split(separator: "\n").map(String.init)
            if lines.count == 2 { return Secrets(token: lines[0], encryptionKeys: lines[1]) }
        }
        let secrets = Secrets(
            token: (0..<4).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined(),
            encryptionKeys: KeyVault.generateKey(id: "dev"))
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw DevelopmentError("\(path) can't be written: \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        let bytes = Array("\(secrets.token)\n\(secrets.encryptionKeys)\n".utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count else {
            throw DevelopmentError("\(path) can't be written")
        }
        return secrets
    }
}
