import ControlPlane
import Glibc
import Support

/// A connection on which a test says what it likes, byte by byte. Its calls block threads of their own.
final class RawConnection: Sendable {
    /// Stands at the end of what was received when nothing more came, and the server didn't hang up either.
    static let silence = "<nothing more came>"

    private let descriptor: Int32

    init(to address: BoundAddress) async throws {
        descriptor = try await offThePool {
            let descriptor: Int32
            let isConnected: Bool
            switch address {
            case .unixSocket(let path):
                descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
                isConnected = withUnixAddress(path) { connect(descriptor, $0, $1) == 0 }
            case .tcp(_, let port):
                descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                var address = sockaddr_in()
                address.sin_family = sa_family_t(AF_INET)
                address.sin_port = in_port_t(port).bigEndian
                address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
                isConnected = withUnsafePointer(to: &address) { address in
                    address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                    }
                }
            }
            guard isConnected else {
                let failure = SocketFailure("connect")
                close(descriptor)
                throw failure
            }
            // A test that waits in vain fails instead of hanging.
            var limit = timeval(tv_sec: 20, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            return descriptor
        }
    }

    deinit { close(descriptor) }

    /// Sends without waiting for anything; what the server no longer takes is lost.
    func send(_ text: String) async {
        let descriptor = descriptor
        await offThePool {
            var bytes = Array(text.utf8)[...]
            while !bytes.isEmpty {
                let count = bytes.withUnsafeBytes {
                    Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { return }
                bytes = bytes.dropFirst(count)
            }
        }
    }

    /// No more will be sent.
    func endInput() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// What comes until the text ends like this, or the server hangs up.
    func receive(until ending: String) async -> String { await receive { $0.hasSuffix(ending) } }

    /// What comes until the server hangs up.
    func receiveAll() async -> String { await receive { _ in false } }

    private func receive(_ isComplete: @escaping @Sendable (String) -> Bool) async -> String {
        let descriptor = descriptor
        return await offThePool {
            var received: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 16 * 1024)
            while !isComplete(String(decoding: received, as: UTF8.self)) {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                if count < 0, errno == EAGAIN { return String(decoding: received, as: UTF8.self) + Self.silence }
                guard count > 0 else { break }
                received += buffer[..<count]
            }
            return String(decoding: received, as: UTF8.self)
        }
    }
}

/// Runs what blocks on a thread of its own.
private func offThePool<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        onThread { continuation.resume(with: Swift.Result(catching: work)) }
    }
}

private func offThePool<Result: Sendable>(_ work: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in onThread { continuation.resume(returning: work()) } }
}
