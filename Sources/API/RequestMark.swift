import ControlPlane
import Crypto
import FoundationEssentials
import HTTPTypes
import JobWorker
import NIOCore
import Postgres
import Tokens

/// A request that is to take effect once, as `jobworker.api_requests` remembers it. Two at the same time wait for each
/// other there.
struct RequestMark: Sendable {
    private let caller: String
    private let key: String
    /// Of method, path and body.
    private let digest: String

    /// - Parameter standIn: Counts in place of the body, where that holds a secret.
    init(_ request: APIRequest, key: String, route: String, standIn: String? = nil) {
        caller =
            switch request.caller {
            case .operator(let name): "operator:\(name ?? "")"
            case .member(let member): "user:\(member.userID.text)"
            case .anonymous: "anonymous"
            }
        self.key = key
        var hash = SHA256()
        hash.update(data: Data(route.utf8))
        for (name, value) in request.parameters.sorted(by: { $0.key < $1.key }) {
            hash.update(data: Data("\n\(name)=\(value)".utf8))
        }
        hash.update(data: Data("\n\n".utf8))
        hash.update(data: standIn.map { Data($0.utf8) } ?? Data(request.body.readableBytesView))
        digest = hash.finalize().map { String($0, radix: 16) }.joined(separator: ":")
    }

    /// - Returns: What was answered to it before; `nil` if it has not come before, and then it is noted.
    func find(_ connection: isolated Connection) throws -> Reply? {
        if try note(connection) { return nil }
        let known = try known(connection, locking: "")
        guard let reply = known?.reply else {
            throw APIError(
                .conflict, code: "request_in_progress", "A request with this Idempotency-Key is in progress.")
        }
        return reply
    }

    /// For a request that takes several transactions: waits for another one that is at the same. It is noted if it has
    /// not come before.
    /// - Returns: What was answered to it before, or else how far it has come.
    func resume(_ connection: isolated Connection) throws -> (reply: Reply?, progress: JSONText?) {
        _ = try note(connection)
        guard let known = try known(connection, locking: "FOR UPDATE") else {
            throw APIError(
                .conflict, code: "request_in_progress", "A request with this Idempotency-Key is in progress.")
        }
        return known
    }

    /// - Returns: Whether it has not come before.
    private func note(_ connection: isolated Connection) throws -> Bool {
        try connection.execute(
            """
            /* jobworker:api.requests.expire */
            DELETE FROM jobworker.api_requests
            WHERE ctid = ANY (ARRAY(SELECT ctid FROM jobworker.api_requests
                                    WHERE created_at < now() - interval '1 day' LIMIT 100 FOR UPDATE SKIP LOCKED))
            """)
        let noted = try connection.execute(
            """
            /* jobworker:api.requests.note */
            INSERT INTO jobworker.api_requests (caller, key, digest) VALUES (\(caller), \(key), \(digest))
            ON CONFLICT DO NOTHING
            """)
        return noted.affected == 1
    }

    private func known(
        _ connection: isolated Connection, locking: String
    ) throws -> (reply: Reply?, progress: JSONText?)? {
        let rows = try connection.execute(
            """
            /* jobworker:api.requests.find */
            SELECT digest, status, answer, progress FROM jobworker.api_requests
            WHERE caller = \(caller) AND key = \(key) \(sql: locking)
            """)
        guard let row = rows.first else { return nil }
        guard try row.decode("digest", as: String.self) == digest else {
            throw APIError(
                .unprocessableContent, code: "idempotency_key_reused",
                "This Idempotency-Key was used for another request.")
        }
        let status: Int? = try row.decodeIfPresent("status")
        let progress: JSONText? = try row.decodeIfPresent("progress")
        guard let status else { return (nil, progress) }
        var reply = Reply(try row.decode("answer"), status: .init(code: status))
        reply.isRepeated = true
        return (reply, progress)
    }

    /// How far a request of several transactions has come.
    func keep(_ progress: JSONText, _ connection: isolated Connection) throws {
        try connection.execute(
            """
            /* jobworker:api.requests.progress */
            UPDATE jobworker.api_requests SET progress = \(progress) WHERE caller = \(caller) AND key = \(key)
            """)
    }

    func keep(_ reply: Reply, _ connection: isolated Connection) throws {
        try connection.execute(
            """
            /* jobworker:api.requests.keep */
            UPDATE jobworker.api_requests SET status = \(reply.status.code), answer = \(reply.text)
            WHERE caller = \(caller) AND key = \(key)
            """)
    }
}

extension APIRequest {
    static let idempotencyKeyName = "Idempotency-Key"

    /// The declared form is checked already.
    var idempotencyKey: String? {
        HTTPField.Name(APIRequest.idempotencyKeyName).flatMap { headers[$0] }
    }
}

extension Parameter {
    /// For every route that adds or changes something by POST.
    static let idempotencyKey = Parameter(
        // HTTP itself has no line ends in a header, and takes blanks off its ends.
        APIRequest.idempotencyKeyName, in: .header, Schema(.text(1...255, isOneLine: false)),
        "Chosen by the client. The same request with the same key takes effect once within a day.")
}
