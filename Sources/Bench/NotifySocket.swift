import Development
import Glibc

/// Stands in for systemd: takes the messages of sd_notify(3).
final class NotifySocket: Sendable {
    let path: String
    private let descriptor: Int32

    init(path: String) throws(DevelopmentError) {
        self.path = path
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = path.utf8CString
        guard bytes.count <= MemoryLayout.size(ofValue: address.sun_path) else {
            throw DevelopmentError("\(path) is too long for a socket")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes.map { UInt8(bitPattern: $0) }) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw DevelopmentError("\(path): \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    /// Waits on a thread of its own, as reading blocks.
    /// - Returns: Whether READY=1 came.
    func waitForReady(within limit: Duration) async -> Bool {
        let milliseconds = Int32(limit / .milliseconds(1))
        return await withCheckedContinuation { continuation in
            let waiter = Waiter(descriptor: descriptor, milliseconds: milliseconds, continuation: continuation)
            var thread = pthread_t()
            let result = pthread_create(&thread, nil, notifyThreadMain, Unmanaged.passRetained(waiter).toOpaque())
            if result == 0 { pthread_detach(thread) } else { continuation.resume(returning: false) }
        }
    }
}

private final class Waiter: Sendable {
    let descriptor: Int32
    let milliseconds: Int32
    let continuation: CheckedContinuation<Bool, Never>

    init(descriptor: Int32, milliseconds: Int32, continuation: CheckedContinuation<Bool, Never>) {
        self.descriptor = descriptor
        self.milliseconds = milliseconds
        self.continuation = continuation
    }

    func run() {
        let deadline = ContinuousClock.now + .milliseconds(Int(milliseconds))
        var buffer = [UInt8](repeating: 0, count: 4096)
        while ContinuousClock.now < deadline {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            poll(&waiting, 1, 100)
            guard waiting.revents != 0 else { continue }
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { continue }
            let message = String(decoding: buffer.prefix(count), as: UTF8.self)
            if message.split(separator: "\n").contains("READY=1") {
                continuation.resume(returning: true)
                return
            }
        }
        continuation.resume(returning: false)
    }
}

/// A free function: C calls it on the new thread, where no isolation holds.
private func notifyThreadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<Waiter>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
