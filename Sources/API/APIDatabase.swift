package import ControlPlane
import Crypto
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
package import Logging
import NIOCore
package import Postgres
import ServiceLifecycle
import Tokens

/// The database as those see it who ask by HTTP: each request in one transaction, with the caller's rights.
///
/// Its few connections are opened when somebody asks and closed when nobody does, so that a worker without requests
/// holds none of them.
package struct APIDatabase: Service {
    /// Most connections.
    static let connectionsMax = 4
    private static let idleTime = Duration.seconds(30)

    private let pool: ConnectionPool
    private let logger: Logger

    /// - Parameter settings: Its time limits are tightened: nobody waits longer for an answer.
    package init(_ settings: ConnectionSettings, logger: Logger) {
        self.logger = logger
        var settings = settings
        settings.statementTimeout = .seconds(10)
        settings.lockTimeout = .seconds(3)
        settings.answerTimeout = .seconds(15)
        settings.connectTimeout = .seconds(5)
        pool = ConnectionPool(settings, limit: Self.connectionsMax)
    }

    /// Closes connections that nobody uses.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.idleTime / 3)
                await pool.closeIdle(unusedFor: Self.idleTime)
            }
        }
        await pool.close()
    }

    /// Sessions open now.
    package var openCount: Int { pool.openCount }

    /// As the program itself, for what no caller is to decide.
    package var asWorker: ConnectionPool { pool }

    /// With the caller's rights, to look alone.
    package func reading(as caller: Caller) -> ConnectionPool {
        pool.beginning(
            with: ["/* jobworker:api.read */ SELECT set_config('transaction_read_only', 'on', true)"]
                + Self.role(of: caller))
    }

    /// On whose behalf a change is made.
    static func requester(_ caller: Caller, via: Requester.Via = .api, reason: String? = nil) -> Requester {
        switch caller {
        case .operator(let name): Requester(actor: "operator:\(name ?? "unnamed")", via: via, reason: reason)
        case .member(let member): Requester(actor: "user:\(member.userID.text)", via: via, reason: reason)
        case .anonymous: Requester(actor: "anonymous", via: via, reason: reason)
        }
    }

    /// Makes the transaction the caller's. For members the row policies decide from here on.
    static func role(of caller: Caller, via: Requester.Via = .api, reason: String? = nil) -> [Statement] {
        switch caller {
        case .operator: return [requester(caller, via: via, reason: reason).statement]
        case .member(let member):
            return [
                """
                /* jobworker:api.member */
                SELECT set_config('request.jwt.claims', \(member.claims), true),
                       set_config('request.jwt.claim.sub', \(member.userID.text), true),
                       set_config('jobworker.via', \(via.rawValue), true), set_config('jobworker.reason', \(reason ?? ""), true),
                       set_config('role', \(TokenVerifier.role), true)
                """
            ]
        // No route that needs the database lets anybody in without a token.
        case .anonymous: return ["/* jobworker:api.anonymous */ SELECT set_config('role', 'anon', true)"]
        }
    }

    /// Looks something up.
    /// - Throws: `APIError`.
    func read<Value: Sendable>(
        _ request: APIRequest, _ body: @Sendable (isolated Connection) throws -> Value
    ) async throws -> Value {
        try await translated { try await reading(as: request.caller).transaction(body) }
    }

    /// Changes something, in one transaction.
    ///
    /// With an `Idempotency-Key` the same request of the same caller takes effect once: for a day it is answered as it
    /// was the first time. What failed may be sent again.
    /// - Parameters:
    ///   - standIn: Remembered in place of the body, where that holds a secret.
    ///   - asProgram: Whether it is done with the program's rights, as the caller's were looked at before.
    /// - Throws: `APIError`.
    func change(
        _ request: APIRequest, of route: String, standIn: String? = nil, asProgram: Bool = false,
        _ body: @Sendable (isolated Connection) throws -> Reply
    ) async throws -> Response {
        try await reply(to: request, of: route, standIn: standIn, asProgram: asProgram, body).response
    }

    /// The same, for who has something to add to the answer that is not to be remembered with it.
    func reply(
        to request: APIRequest, of route: String, standIn: String? = nil, asProgram: Bool = false,
        _ body: @Sendable (isolated Connection) throws -> Reply
    ) async throws -> Reply {
        let reason = try request.reason
        let roles =
            asProgram
            ? [Self.requester(request.caller, via: request.via, reason: reason).statement]
            : Self.role(of: request.caller, via: request.via, reason: reason)
        return try await translated {
            guard let key = request.idempotencyKey else {
                return try await pool.beginning(with: roles).transaction(body)
            }
            let mark = RequestMark(request, key: key, route: route, standIn: standIn)
            return try await pool.transaction { connection in
                if let earlier = try mark.find(connection) { return earlier }
                for statement in roles { try connection.execute(statement) }
                let reply = try body(connection)
                try connection.execute("/* jobworker:api.resume */ SELECT set_config('role', 'none', true)")
                try mark.keep(reply, connection)
                return reply
            }
        }
    }

    /// Changes much, in several transactions.
    ///
    /// With an `Idempotency-Key` the progress is stored with each of them: the same request goes on where an earlier one
    /// came to an end before its time, and is answered as that was once it is done.
    /// - Parameter step: One transaction's part, from the progress so far. Gives the answer with the last one.
    /// - Throws: `APIError`.
    func change<Progress: Codable & Sendable>(
        _ request: APIRequest, of route: String, from start: Progress,
        step: @escaping @Sendable (Progress, isolated Connection) throws -> (progress: Progress, reply: Reply?)
    ) async throws -> Response {
        let roles = Self.role(of: request.caller, via: request.via, reason: try request.reason)
        let mark = request.idempotencyKey.map { RequestMark(request, key: $0, route: route) }
        var progress = start
        while true {
            try Task.checkCancellation()
            let before = progress
            let done = try await translated {
                try await pool.transaction { connection in
                    var before = before
                    if let mark {
                        let known = try mark.resume(connection)
                        if let reply = known.reply { return (progress: before, reply: Optional(reply)) }
                        if let stored = known.progress { before = try stored.decode() }
                    }
                    for statement in roles { try connection.execute(statement) }
                    let done = try step(before, connection)
                    if let mark {
                        try connection.execute("/* jobworker:api.resume */ SELECT set_config('role', 'none', true)")
                        let text = String(decoding: try JSONEncoder().encode(done.progress), as: UTF8.self)
                        try mark.keep(JSONText(text), connection)
                        if let reply = done.reply { try mark.keep(reply, connection) }
                    }
                    return done
                }
            }
            if let reply = done.reply { return reply.response }
            progress = done.progress
        }
    }

    /// - Throws: `APIError` instead of the database's.
    package func translated<Value: Sendable>(_ work: () async throws -> Value) async throws -> Value {
        do {
            return try await work()
        } catch let error as PostgresError {
            guard let answer = APIError(error) else { throw error }
            if answer.code == APIError.notMigratedCode {
                logger.log(.requestFailed, metadata: ["ERROR": "\(error)"])
            }
            throw answer
        }
    }
}

/// An answer as the database wrote it.
struct Reply: Sendable {
    let status: HTTPResponse.Status
    /// JSON.
    let text: String
    var isRepeated = false

    init(_ text: String, status: HTTPResponse.Status = .ok) {
        self.status = status
        self.text = text
    }

    var response: Response {
        var headers: HTTPFields = [.contentType: "application/json"]
        if isRepeated, let name = HTTPField.Name("Idempotent-Replayed") { headers[name] = "true" }
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
