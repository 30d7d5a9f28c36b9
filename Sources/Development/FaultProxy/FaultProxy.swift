import FoundationEssentials
import Glibc

/// Stands between a client and a PostgreSQL server and breaks connections in chosen ways, for tests.
///
/// Clients reach it by a Unix socket in a directory of its own, named like PostgreSQL's, or on 127.0.0.1; it
/// reaches the server by the server's Unix socket, so that no password is needed either way.
package final class FaultProxy: Sendable {
    package struct Directions: OptionSet, Sendable {
        package let rawValue: Int

        package init(rawValue: Int) { self.rawValue = rawValue }

        package static let toServer = Directions(rawValue: 1)
        package static let toClient = Directions(rawValue: 2)
        package static let both: Directions = [.toServer, .toClient]
    }

    package enum Mode: Sendable {
        case pass
        /// Nothing passes; connections stay open, new ones are not answered. What was sent meanwhile arrives afterwards.
        case stall(Directions = .both)
        /// New connections are closed at once; those that are open go on.
        case refuse
        /// Everything arrives this much later.
        case delay(Duration)
    }

    /// What is to happen when a statement passes.
    package struct Rule: Sendable {
        package enum Action: Sendable {
            /// The statement takes effect; its answer is dropped and the connection closed.
            case dropReply
            /// The connection is closed; the statement never arrives.
            case closeBefore
        }

        /// A part of the statement's text; prepared ones are known by the text they were prepared from.
        package var text: String
        package var action: Action
        /// Statements let pass before.
        package var skipped = 0
        /// Statements hit; after that the rule is gone.
        package var times = 1
        /// The mode from that instant on, with every connection cut.
        package var afterwards: Mode?

        package init(_ text: String, _ action: Action, skipped: Int = 0, times: Int = 1, afterwards: Mode? = nil) {
            self.text = text
            self.action = action
            self.skipped = skipped
            self.times = times
            self.afterwards = afterwards
        }
    }

    package let socketDirectory: String
    /// On 127.0.0.1; `nil` unless asked for.
    package let tcpPort: Int?
    private let port: Int
    private let thread: FaultProxyThread

    package init(to server: PrivatePostgres, listensOnTCP: Bool = false) throws {
        port = server.tcpPort ?? 5432
        var template = Array("/tmp/jobworker-proxy-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw DevelopmentError("no folder for the proxy's socket: \(String(cString: strerror(errno)))")
        }
        socketDirectory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // Its clients may run as another user, as a pooler does.
        chmod(socketDirectory, 0o755)
        let path = "\(socketDirectory)/.s.PGSQL.\(port)"
        var listeners = [try StreamSocket.listen(unix: path)]
        chmod(path, 0o777)
        if listensOnTCP {
            let (descriptor, port) = try StreamSocket.listenOnLoopback()
            listeners.append(descriptor)
            tcpPort = port
        } else {
            tcpPort = nil
        }
        thread = FaultProxyThread(
            listeners: listeners, serverPath: "\(server.socketDirectory)/.s.PGSQL.\(port)")
        thread.start()
    }

    deinit { close() }

    /// A libpq URI over the Unix socket.
    package func connectionString(database: String = "postgres", role: String = "postgres") -> String {
        "postgresql://\(role)@/\(database)?host=\(socketDirectory)&port=\(port)"
    }

    /// A libpq URI over TCP; `nil` unless the proxy was started for that.
    package func tcpConnectionString(database: String = "postgres", role: String = "postgres") -> String? {
        tcpPort.map { "postgresql://\(role)@127.0.0.1:\($0)/\(database)" }
    }

    /// Connections that clients have begun, refused ones included.
    package var attempts: Int { thread.withState { $0.attempts } }
    package var openConnections: Int { thread.withState { $0.links.count } }

    /// How often a statement came, by the name in its first comment.
    package func statements(_ name: String) -> Int { thread.withState { $0.statements[name] ?? 0 } }

    /// When this returns, nothing more passes in the old way.
    /// - Parameter application: Only for sessions of this `application_name`.
    package func set(_ mode: Mode, application: String? = nil) {
        thread.withState { state in
            if let application { state.modes[application] = mode } else { state.mode = mode }
        }
    }

    /// Undoes all modes and rules.
    package func heal() {
        thread.withState { state in
            state.mode = .pass
            state.modes = [:]
            state.disarm()
        }
    }

    /// Closes the connections that are open now: on TCP with a reset, as a crashed machine's.
    package func cut(application: String? = nil) {
        thread.withState { state in
            for (id, link) in state.links where application == nil || link.application == application {
                state.cut(id)
            }
        }
    }

    /// Lets the sessions of this `application_name` that are open now hang for good; new ones pass.
    package func deaden(application: String) { thread.withState { $0.deaden(application: application) } }

    /// Waits for a statement.
    /// - Returns: An element for each statement hit; ends with the rule.
    @discardableResult
    package func arm(_ rule: Rule) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        thread.withState { $0.rules.append((rule, continuation)) }
        return stream
    }

    /// Ends all connections and the proxy. Harmless when it has ended.
    package func close() {
        thread.stop()
        try? FileManager.default.removeItem(atPath: socketDirectory)
    }
}

extension AsyncStream<Void> {
    /// Waits for the next element.
    /// - Throws: Where none comes in time, or the rule was undone.
    package func struck(within limit: Duration = .seconds(60)) async throws(DevelopmentError) {
        let isStruck = await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                for await _ in self { return true }
                return false
            }
            group.addTask {
                try? await Task.sleep(for: limit)
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
        guard isStruck else { throw DevelopmentError("the statement that was waited for did not come") }
    }
}
