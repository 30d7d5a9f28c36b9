import FoundationEssentials
import Glibc
import Systemd
import Testing

/// Beside a socket that takes datagrams as journald's does.
@Suite struct JournalQueueTests {
    private func address(_ path: String) -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return address
    }

    private func datagramSocket() throws -> Int32 {
        let descriptor = socket(
            AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        try #require(descriptor >= 0)
        return descriptor
    }

    @Test func `there is room until nobody reads what was sent`() throws {
        let path = "/tmp/jobworker-journal-\(UUID().uuidString.prefix(8))"
        let journal = try datagramSocket()
        defer {
            close(journal)
            unlink(path)
        }
        var address = address(path)
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { #expect(bind(journal, $0, size) == 0) }
        }
        let queue = JournalQueue(path: path)
        #expect(queue.hasRoom)
        // Others send as well, each from a socket of its own, whose own bound isn't met.
        var isFull = false
        while !isFull {
            let sender = try datagramSocket()
            isFull = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { sendto(sender, "x", 1, 0, $0, size) != 1 }
            }
            close(sender)
        }
        #expect(!queue.hasRoom)
        var byte: UInt8 = 0
        while recv(journal, &byte, 1, 0) == 1 {}
        #expect(queue.hasRoom)
    }

    @Test func `without a journald nobody waits`() {
        #expect(JournalQueue(path: "/nonexistent/socket").hasRoom)
        #expect(JournalQueue(path: String(repeating: "x", count: 200)).hasRoom)
    }
}
