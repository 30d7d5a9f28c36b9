import Glibc
import Synchronization

/// Whether journald takes entries as they come.
///
/// Entries are datagrams, and the queue of its socket is short (unix(7), `net.unix.max_dgram_qlen`): once it is full,
/// `sd_journal_sendv` waits. A socket of our own that is connected there tells whether it would; unless somebody else fills
/// the queue in between. The socket stays when journald is started again, as systemd holds it.
public final class JournalQueue: Sendable {
    private let descriptor: Int32?

    /// - Parameter path: Of journald's socket, systemd-journald.service(8).
    public init(path: String = "/run/systemd/journal/socket") {
        descriptor = JournalQueue.connected(to: path)
    }

    deinit { if let descriptor { close(descriptor) } }

    /// Without a journald, sending fails at once.
    public var hasRoom: Bool {
        guard let descriptor else { return true }
        var status = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&status, 1, 0) == 1
    }

    private static func connected(to path: String) -> Int32? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        let result = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            close(descriptor)
            return nil
        }
        return descriptor
    }
}
