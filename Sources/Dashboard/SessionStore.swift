import ControlPlane
import Crypto
import FoundationEssentials
import Postgres
import Synchronization
import Tokens

/// Somebody who is signed in.
struct Session: Sendable {
    let caller: Caller
    /// Of an operator's token.
    let mark: String?
    /// What every form carries, so that no other site can send one.
    let formToken: String
}

/// Who is signed in: `jobworker.sessions`, shared by all workers. The browser has a random cookie, the table its digest.
///
/// A `Mutex`: what was looked up is believed for a few seconds, so that many open pages cost the database no more
/// than one.
final class SessionStore: Sendable {
    /// Without a request for so long, a session is over.
    static let idleTime = Duration.seconds(2 * 3600)
    /// An operator's session; a member's ends with the token.
    static let operatorTime = Duration.seconds(12 * 3600)
    private static let memory = Duration.seconds(5)

    private let database: ConnectionPool
    private let known = Mutex<[String: (session: Session, until: ContinuousClock.Instant)]>([:])
    /// By digest. Each of many open pages asks.
    private let alive = Shared<String, Bool>(lifetime: .seconds(10))

    init(database: ConnectionPool) { self.database = database }

    /// - Returns: The cookie's value.
    func begin(_ caller: Caller, mark: String?) async throws -> String {
        let cookie = SymmetricKey(size: .bits256).withUnsafeBytes { Self.hexadecimal(Array($0)) }
        var name: String?
        var member: Member?
        switch caller {
        case .operator(let own): name = own
        case .member(let own): member = own
        case .anonymous: throw PageError.signInFirst
        }
        let end: Fragment =
            member.map { "to_timestamp(\($0.expiresAt)::float8)" } ?? "clock_timestamp() + \(Self.operatorTime)"
        _ = try await database.query(
            """
            /* jobworker:sessions.begin */
            WITH gone AS (
                DELETE FROM jobworker.sessions
                WHERE digest IN (SELECT digest FROM jobworker.sessions WHERE expires_at < clock_timestamp() LIMIT 100)
            )
            INSERT INTO jobworker.sessions (digest, mark, name, user_id, claims, expires_at)
            VALUES (\(Self.digest(cookie)), \(member == nil ? mark : nil), \(name), \(member?.userID),
                    \(member?.claims), \(end))
            """)
        return cookie
    }

    /// - Returns: `nil` where it is over, or never was.
    func find(_ cookie: String, idleTime: Duration = idleTime) async throws -> Session? {
        let digest = Self.digest(cookie)
        if let entry = known.withLock({ $0[digest] }), entry.until > .now { return entry.session }
        let rows = try await database.query(
            """
            /* jobworker:sessions.find */
            WITH seen AS (
                UPDATE jobworker.sessions SET seen_at = clock_timestamp()
                WHERE digest = \(digest) AND expires_at > clock_timestamp()
                  AND seen_at BETWEEN clock_timestamp() - \(idleTime) AND clock_timestamp() - interval '1 minute'
            )
            SELECT mark, name, user_id, claims, extract(epoch FROM expires_at)::float8 AS end_at
            FROM jobworker.sessions
            WHERE digest = \(digest) AND expires_at > clock_timestamp() AND seen_at > clock_timestamp() - \(idleTime)
            """)
        guard let row = rows.first else { return nil }
        let mark: String? = try row.decodeIfPresent("mark")
        let caller: Caller
        if let userID: UUID = try row.decodeIfPresent("user_id") {
            caller = .member(
                Member(userID: userID, claims: try row.decode("claims"), expiresAt: try row.decode("end_at")))
        } else {
            caller = .operator(name: try row.decodeIfPresent("name"))
        }
        let session = Session(caller: caller, mark: mark, formToken: Self.digest("form:" + cookie))
        known.withLock { known in
            known = known.filter { $0.value.until > .now }
            known[digest] = (session, .now + Self.memory)
        }
        return session
    }

    /// Whether the session goes on; asking is no request that keeps it.
    func isAlive(_ cookie: String) async throws -> Bool {
        let (database, digest) = (database, Self.digest(cookie))
        return try await alive.value(of: digest) {
            try await !database.query(
                """
                /* jobworker:sessions.is_alive */
                SELECT FROM jobworker.sessions
                WHERE digest = \(digest) AND expires_at > clock_timestamp()
                  AND seen_at > clock_timestamp() - \(Self.idleTime)
                """
            ).isEmpty
        }
    }

    func end(_ cookie: String) async throws {
        let digest = Self.digest(cookie)
        known.withLock { $0[digest] = nil }
        await alive.forget()
        _ = try await database.query(
            "/* jobworker:sessions.end */ DELETE FROM jobworker.sessions WHERE digest = \(digest)")
    }

    static func digest(_ text: String) -> String { hexadecimal(Array(SHA256.hash(data: Array(text.utf8)))) }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
