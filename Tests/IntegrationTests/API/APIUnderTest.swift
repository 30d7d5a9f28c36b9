import API
import ControlPlane
import Crypto
import Dashboard
import Enrichment
import FoundationEssentials
import Glibc
import HTTPClient
import JobWorker
import Logging
import Postgres
import ServiceLifecycle
import Support
import Synchronization
import Testing
import Tokens

/// Who asks in a test.
enum Person: Sendable, Hashable {
    case `operator`
    case user(UUID)
    /// With a token of one's own making.
    case bearer(String)
    case nobody
}

/// The routes that need the database, served on a socket and over TCP in this process, and a client.
struct APIUnderTest: Sendable {
    static let operatorToken = "the-token-of-an-operator-in-tests"
    static let attemptTokens = AttemptTokens(keys: [SymmetricKey(data: Array(repeating: UInt8(7), count: 32))])
    static let secret = "a-secret-of-the-tests-with-more-than-32-bytes"

    let database: TestDatabase
    let api: APIDatabase
    let hub: EventHub
    let routes: [Route]
    /// The dashboard's.
    let pages: [Route]
    let addresses: [BoundAddress]
    let client: Client

    /// A token as the application's server makes it for a user who signed in.
    static func token(
        for user: UUID, role: String = "authenticated", expiresIn seconds: Int = 600, secret: String = secret,
        algorithm: String = "HS256"
    ) -> String {
        let header = #"{"alg":"\#(algorithm)","typ":"JWT"}"#
        let claims = #"{"sub":"\#(user.text)","role":"\#(role)","exp":\#(time(nil) + seconds)}"#
        let message = [header, claims].map { base64URL(Data($0.utf8)) }.joined(separator: ".")
        let key = SymmetricKey(data: Data(secret.utf8))
        let code = HMAC<SHA256>.authenticationCode(for: Data(message.utf8), using: key)
        return "\(message).\(base64URL(Data(code)))"
    }

    private static func base64URL(_ data: Data) -> String {
        var text = data.base64EncodedString()
        while text.last == "=" { text.removeLast() }
        return String(text.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 })
    }

    /// - Parameter body: JSON.
    func send(
        _ method: String, _ path: String, as person: Person, body: String? = nil,
        headers: [(name: String, value: String)] = [], overTCP: Bool = false
    ) async throws -> APIResponse {
        var headers = headers
        switch person {
        case .operator: headers.append(("Authorization", "Bearer \(Self.operatorToken)"))
        case .user(let user): headers.append(("Authorization", "Bearer \(Self.token(for: user))"))
        case .bearer(let token): headers.append(("Authorization", "Bearer \(token)"))
        case .nobody: break
        }
        if body != nil, !headers.contains(where: { $0.name == "Content-Type" }) {
            headers.append(("Content-Type", "application/json"))
        }
        var request = Request(
            method: method, url: "http://localhost\(path)", headers: headers, body: body.map { Array($0.utf8) })
        for address in addresses {
            switch address {
            case .unixSocket(let path) where !overTCP: request.unixSocketPath = path
            case .tcp(let host, let port) where overTCP: request.url = "http://\(host):\(port)\(path)"
            default: break
            }
        }
        let response = try await client.send(request)
        return APIResponse(
            status: response.status, text: String(decoding: response.body, as: UTF8.self), headers: response.headers)
    }
}

struct APIResponse: Sendable {
    let status: Int
    let text: String
    let headers: [(name: String, value: String)]

    var json: JSONValue { (try? JSONText(text).decode()) ?? .null }
    var code: String? { json["code"]?.string }
    var id: UUID? { json["id"]?.string.flatMap { UUID(uuidString: $0) } }

    func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }
}

/// Runs `body` with the routes on a database.
func withAPI<Result: Sendable>(
    on database: TestDatabase, limits: HTTPLimits = HTTPLimits(), apolloBaseURL: String = "http://127.0.0.1:1",
    _ body: @escaping @Sendable (APIUnderTest) async throws -> Result
) async throws -> Result {
    let folder = "/tmp/jobworker-api-\(String(UInt64.random(in: .min ... .max), radix: 36))"
    let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    let api = APIDatabase(database.workerSettings, logger: logger)
    let hub = EventHub(
        database: api, settings: database.workerSettings, logger: logger, tick: .milliseconds(300))
    let client = Client()
    let vault = try KeyVault(parsing: KeyVault.generateKey(id: "k1"))
    let routes = HTTPSurface(
        database: api, hub: hub, silence: .seconds(120), staleAfter: .seconds(120), jobTimeout: .seconds(900),
        vault: vault, client: client, apolloBaseURL: apolloBaseURL, attemptTokens: APIUnderTest.attemptTokens
    ).routes
    let key = Array(APIUnderTest.secret.utf8).withUnsafeBytes { VerificationKey(secret: $0) }
    let digest = Array(APIUnderTest.operatorToken.utf8).withUnsafeBytes { OperatorDigest(name: "test", token: $0) }
    let (bound, report) = AsyncStream<[BoundAddress]>.makeStream()
    let authentication = Authentication(operators: [digest], members: TokenVerifier(keys: [key]))
    let pages = Dashboard(api: routes, database: api, hub: hub, authentication: authentication)
    let server = ControlPlaneServer(
        listeningOn: [.unixSocket(path: folder + "/api.sock", group: nil), .tcp(host: "127.0.0.1", port: 0)],
        routes: RouteTable(
            OpenAPIRoutes(version: "test", components: HTTPSurface.components).describing(routes) + pages.routes),
        authentication: authentication, limits: limits,
        logger: logger, onListening: { report.yield($0) })
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask {
            defer { report.finish() }
            try await server.run()
        }
        tasks.addTask { try await api.run() }
        tasks.addTask { try await hub.run() }
        guard let addresses = await bound.first(where: { _ in true }) else {
            try await tasks.waitForAll()
            throw CancellationError()
        }
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(
                try await body(
                    APIUnderTest(
                        database: database, api: api, hub: hub, routes: routes, pages: pages.routes,
                        addresses: addresses, client: client)))
        } catch { result = .failure(error) }
        await client.shutdown()
        tasks.cancelAll()
        try? await tasks.waitForAll()
        return try result.get()
    }
}
