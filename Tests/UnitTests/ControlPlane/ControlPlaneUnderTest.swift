import ControlPlane
import FoundationEssentials
import Glibc
import HTTPClient
import Logging
import ServiceLifecycle
import Support
import Testing

/// A running server and a client for it.
struct ControlPlaneUnderTest: Sendable {
    static let token = "a-token-of-thirty-two-characters!"

    let addresses: [BoundAddress]
    let client: Client
    let authentication: Authentication

    var address: BoundAddress { addresses[0] }

    /// Sends a request to the address, the first one if none is given.
    func send(
        _ method: String = "GET", _ path: String, to address: BoundAddress? = nil,
        headers: [(name: String, value: String)] = [], body: [UInt8]? = nil
    ) async throws -> Response {
        switch address ?? self.address {
        case .tcp(let host, let port):
            try await client.send(
                Request(method: method, url: "http://\(host):\(port)\(path)", headers: headers, body: body))
        case .unixSocket(let socket):
            try await client.send(
                Request(
                    method: method, url: "http://localhost\(path)", headers: headers, body: body,
                    unixSocketPath: socket))
        }
    }

    /// As an operator.
    func sendAuthorized(_ method: String = "GET", _ path: String) async throws -> Response {
        try await send(method, path, headers: [("Authorization", "Bearer \(Self.token)")])
    }

    func expectAlive(_ location: SourceLocation = #_sourceLocation) async throws {
        let response = try await send("GET", "/healthz")
        #expect(response.status == 200, sourceLocation: location)
    }

    static func operators(_ tokens: [(name: String?, token: String)]) -> [OperatorDigest] {
        tokens.map { name, token in
            Array(token.utf8).withUnsafeBytes { OperatorDigest(name: name, token: $0) }
        }
    }
}

extension Response {
    var text: String { String(decoding: body, as: UTF8.self) }
}

/// Runs `body` with a server, which is cancelled afterwards.
@discardableResult
func withControlPlane<Result: Sendable>(
    listeningOn addresses: [ListenAddress] = [.tcp(host: "127.0.0.1", port: 0)], worker: FakeWorker = FakeWorker(),
    tokens: [(name: String?, token: String)] = [("alice", ControlPlaneUnderTest.token)],
    limits: HTTPLimits = HTTPLimits(), moreRoutes: [Route] = [],
    _ body: (ControlPlaneUnderTest) async throws -> Result
) async throws -> Result {
    let authentication = Authentication(operators: ControlPlaneUnderTest.operators(tokens))
    let (bound, report) = AsyncStream<[BoundAddress]>.makeStream()
    let service = ServiceIdentity(region: "eu-north", environment: "test", version: "1.2.3")
    let server = ControlPlaneServer(
        listeningOn: addresses,
        routes: RouteTable(
            HealthRoutes(worker: worker, service: service).routes + WorkerRoutes(worker: worker).routes + moreRoutes),
        authentication: authentication, limits: limits,
        logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
        onListening: { report.yield($0) })
    let client = Client()
    return try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask {
            defer { report.finish() }
            try await server.run()
        }
        guard let addresses = await bound.first(where: { _ in true }) else {
            // It could not listen: its error.
            try await tasks.waitForAll()
            throw SocketFailure("listening")
        }
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(
                try await body(
                    ControlPlaneUnderTest(addresses: addresses, client: client, authentication: authentication)))
        } catch { result = .failure(error) }
        await client.shutdown()
        tasks.cancelAll()
        try? await tasks.waitForAll()
        return try result.get()
    }
}

/// A directory of its own for a test, removed afterwards.
func withTemporaryDirectory<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    var template = Array("/tmp/jobworker-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SocketFailure("mkdtemp") }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try await body(path)
}
