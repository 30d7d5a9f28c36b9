package import Glibc
import Synchronization

/// A real HTTP/1.1 server on a loopback port or a Unix socket, with a thread for each connection,
/// which answers each request as the test's closure tells it.
package final class ScriptedHTTPServer: Sendable {
    package struct Received: Sendable {
        package let method: String
        package let path: String
        package let headers: [(name: String, value: String)]
        package let body: [UInt8]

        package func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name }?.value }
    }

    package enum Reply: Sendable {
        /// These bytes; the connection stays open.
        case bytes([UInt8])
        /// These bytes, then the connection is closed.
        case broken([UInt8])
        /// These bytes, then nothing until the client hangs up.
        case silence(after: [UInt8] = [])
        /// The first bytes, then the second ones again and again until the client hangs up.
        case endless([UInt8], [UInt8])
    }

    package enum Event: Sendable, Equatable {
        case connected
        case requested(path: String)
        /// The client has closed its connection.
        case hungUp
    }

    /// Where it listens: 127.0.0.1 and this port, unless it has a `path`.
    package let port: UInt16
    package let path: String?
    private let listener: Int32
    private let reply: @Sendable (Received) -> Reply
    private let connections = Mutex<[Int32]>([])
    private let count = Atomic(0)
    private let events: AsyncStream<Event>
    private let report: AsyncStream<Event>.Continuation

    package init(path: String? = nil, reply: @escaping @Sendable (Received) -> Reply) throws {
        (listener, port) = try path.map { (try listen(path: $0), 0) } ?? listenOnLoopback(backlog: 128)
        self.path = path
        self.reply = reply
        (events, report) = AsyncStream.makeStream()
        onThread { self.accept() }
    }

    /// Frees the port and breaks all connections.
    package func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        connections.withLock { for connection in $0 { shutdown(connection, Int32(SHUT_RDWR)) } }
        if let path { unlink(path) }
    }

    package func url(_ path: String = "/") -> String { "http://127.0.0.1:\(port)\(path)" }

    package var connectionCount: Int { count.load(ordering: .sequentiallyConsistent) }

    /// Returns once this has happened, now or before. Each event is waited for once.
    package func wait(for event: Event) async {
        for await next in events where next == event { return }
    }

    private func accept() {
        while true {
            let connection = Glibc.accept(listener, nil, nil)
            guard connection >= 0 else { break }
            count.add(1, ordering: .sequentiallyConsistent)
            connections.withLock { $0.append(connection) }
            report.yield(.connected)
            onThread { self.serve(connection) }
        }
        close(listener)
    }

    private func serve(_ connection: Int32) {
        var unread: [UInt8] = []
        while let request = receive(from: connection, &unread) {
            report.yield(.requested(path: request.path))
            switch reply(request) {
            case .bytes(let bytes):
                send(bytes, to: connection)
                continue
            case .broken(let bytes):
                send(bytes, to: connection)
            case .silence(let bytes):
                send(bytes, to: connection)
                while receive(from: connection, &unread) != nil {}
            case .endless(let first, let again):
                send(first, to: connection)
                while send(again, to: connection) {}
            }
            break
        }
        connections.withLock { $0.removeAll { $0 == connection } }
        close(connection)
        report.yield(.hungUp)
    }

    /// The next request, or `nil` when the client has hung up.
    private func receive(from connection: Int32, _ unread: inout [UInt8]) -> Received? {
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let headEnd = unread.indices.first(where: { unread[$0...].starts(with: end) }) {
                let lines = String(decoding: unread[..<headEnd], as: UTF8.self)
                    .split(separator: "\r\n", omittingEmptySubsequences: false)
                let words = lines[0].split(separator: " ")
                let headers = lines.dropFirst().map { line in
                    let colon = line.firstIndex(of: ":") ?? line.endIndex
                    return (name: String(line[..<colon]), value: String(line[colon...].dropFirst().drop { $0 == " " }))
                }
                let length = headers.first { $0.name.lowercased() == "content-length" }.flatMap { Int($0.value) } ?? 0
                let bodyStart = headEnd + end.count
                while unread.count < bodyStart + length { guard more(from: connection, &unread) else { return nil } }
                let body = Array(unread[bodyStart..<(bodyStart + length)])
                unread.removeFirst(bodyStart + length)
                return Received(method: String(words[0]), path: String(words[1]), headers: headers, body: body)
            }
            guard more(from: connection, &unread) else { return nil }
        }
    }

    private func more(from connection: Int32, _ unread: inout [UInt8]) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        let count = recv(connection, &buffer, buffer.count, 0)
        guard count > 0 else { return false }
        unread += buffer[..<count]
        return true
    }

    /// `false` when the client has hung up.
    @discardableResult
    private func send(_ bytes: [UInt8], to connection: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}

extension ScriptedHTTPServer.Reply {
    /// A whole answer with its length.
    package static func answer(_ body: [UInt8], status: Int = 200, headers: [String] = []) -> Self {
        .bytes(
            Array(
                (["HTTP/1.1 \(status) X", "Content-Length: \(body.count)"] + headers + ["", ""])
                    .joined(separator: "\r\n").utf8) + body)
    }

    package static func answer(_ body: String, status: Int = 200, headers: [String] = []) -> Self {
        answer(Array(body.utf8), status: status, headers: headers)
    }
}

/// Runs `body` with a server, which is stopped afterwards.
@discardableResult
package func withScriptedServer<Result>(
    path: String? = nil, reply: @escaping @Sendable (ScriptedHTTPServer.Received) -> ScriptedHTTPServer.Reply,
    _ body: (ScriptedHTTPServer) async throws -> Result
) async throws -> Result {
    let server = try ScriptedHTTPServer(path: path, reply: reply)
    defer { server.stop() }
    return try await body(server)
}

/// Holds threads up until it is opened.
package final class ThreadGate: Sendable {
    private let ends: (read: Int32, write: Int32)
    private let isOpen = Atomic(false)

    package init() {
        var descriptors: [Int32] = [-1, -1]
        pipe(&descriptors)
        ends = (descriptors[0], descriptors[1])
    }

    deinit {
        open()
        close(ends.read)
    }

    /// Lets everybody through, from now on.
    package func open() {
        if !isOpen.exchange(true, ordering: .sequentiallyConsistent) { close(ends.write) }
    }

    package func wait() {
        // The read end is ready once the write end is closed.
        var descriptor = pollfd(fd: ends.read, events: Int16(POLLIN), revents: 0)
        poll(&descriptor, 1, -1)
    }
}

// MARK: Sockets and threads

package struct SocketFailure: Error {
    let call: String
    let reason: String

    package init(_ call: String) {
        self.call = call
        reason = String(cString: strerror(errno))
    }
}

/// A listening socket on a free loopback port.
package func listenOnLoopback(backlog: Int32) throws -> (descriptor: Int32, port: UInt16) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { address in
        address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, length) == 0 && Glibc.listen(descriptor, backlog) == 0
                && getsockname(descriptor, $0, &length) == 0
        }
    }
    guard result else { throw SocketFailure("bind") }
    return (descriptor, UInt16(bigEndian: address.sin_port))
}

private func listen(path: String) throws -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    try withUnixAddress(path) { address, length in
        guard bind(descriptor, address, length) == 0, Glibc.listen(descriptor, 16) == 0 else {
            throw SocketFailure("bind \(path)")
        }
    }
    return descriptor
}

/// Lends the address of a Unix socket at `path`.
package func withUnixAddress<Result>(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result
) rethrows -> Result {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return try withUnsafePointer(to: &address) { address in
        try address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            try body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}

/// Runs `work` on a thread of its own: it may block.
package func onThread(_ work: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let result = pthread_create(&thread, nil, runThreadWork, Unmanaged.passRetained(ThreadWork(work)).toOpaque())
    precondition(result == 0, "pthread_create: \(String(cString: strerror(result)))")
    pthread_detach(thread)
}

private final class ThreadWork: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

private func runThreadWork(_ work: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let work { Unmanaged<ThreadWork>.fromOpaque(work).takeRetainedValue().run() }
    return nil
}
