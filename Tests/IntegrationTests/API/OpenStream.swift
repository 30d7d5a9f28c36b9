import ControlPlane
import Glibc
import Synchronization

/// A client of a stream, on a thread of its own.
final class OpenStream: Sendable {
    private let descriptor: Int32
    private let text = Mutex("")
    private let arrivals: AsyncStream<Void>
    private let isOver = Mutex(false)
    /// Up to where `next` has read.
    private let position = Mutex(0)

    /// - Parameter reads: Whether what comes is taken; otherwise the socket fills up.
    init(_ api: APIUnderTest, _ path: String, as person: Person, reads: Bool = true) async throws {
        let socketPath = api.addresses.compactMap { if case .unixSocket(let path) = $0 { path } else { nil } }.first
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array((socketPath ?? "").utf8)) }
        let descriptor = descriptor
        let isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard isConnected else { throw APIUnderTest.NeverHappened() }
        let token =
            switch person {
            case .operator: APIUnderTest.operatorToken
            case .user(let user): APIUnderTest.token(for: user)
            case .bearer(let token): token
            case .nobody: ""
            }
        let request = "GET \(path) HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(token)\r\n\r\n"
        _ = request.withCString { send(descriptor, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
        let (arrivals, arrival) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.arrivals = arrivals
        guard reads else { return }
        Thread.run { [weak self] in
            var buffer = [UInt8](repeating: 0, count: 64 * 1024)
            while true {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                guard let self, count > 0 else { break }
                let isEnd = self.text.withLock { text in
                    text += String(decoding: buffer[..<count], as: UTF8.self)
                    return text.hasSuffix("\r\n0\r\n\r\n")
                }
                arrival.yield()
                // The connection would serve another request.
                if isEnd { break }
            }
            self?.isOver.withLock { $0 = true }
            arrival.finish()
        }
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }

    /// All that came so far.
    var received: String { text.withLock { $0 } }

    /// Waits for the next event that contains this.
    /// - Returns: The text from where the last one ended.
    func next(containing part: String) async -> String {
        func found() -> String? {
            let received = received
            let rest = received.utf8.dropFirst(position.withLock { $0 })
            guard let text = String(rest), let range = text.firstRange(of: part),
                let end = text[range.lowerBound...].firstRange(of: "\n\n")
            else { return nil }
            position.withLock { $0 += text[..<end.upperBound].utf8.count }
            return String(text[..<end.upperBound])
        }
        if let text = found() { return text }
        for await _ in arrivals { if let text = found() { return text } }
        return found() ?? "<the stream ended>"
    }

    /// Waits for its end.
    func ended() async -> Bool {
        for await _ in arrivals {}
        return isOver.withLock { $0 }
    }
}

private enum Thread {
    static func run(_ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Box(body))
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { pointer in
                guard let pointer else { return nil }
                Unmanaged<Box>.fromOpaque(pointer).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        pthread_detach(thread)
    }

    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
