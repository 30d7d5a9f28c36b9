@testable import ControlPlane
import Glibc
import HTTPClient
import Support
import Testing

/// Where the server listens, and what it leaves alone there.
@Suite(.timeLimit(.minutes(5)))
struct ListeningTests {
    @Test func `the socket's directory is made, and the socket goes with the server`() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/run/worker.sock"
            try await withControlPlane(listeningOn: [.unixSocket(path: path)]) { plane in
                try await plane.expectAlive()
                #expect(mode("\(directory)/run") == S_IFDIR | 0o755)
            }
            #expect(mode(path) == nil)
            #expect(mode("\(directory)/run") == S_IFDIR | 0o755)
        }
    }

    @Test(arguments: [0, 0o077, 0o777] as [mode_t])
    func `whatever the umask, owner and group can connect and nobody else`(mask: mode_t) async {
        // The umask is the whole process's.
        await #expect(processExitsWith: .success) { [mask] in
            umask(mask)
            let path = "/tmp/jobworker-\(getpid())/worker.sock"
            try await withControlPlane(listeningOn: [.unixSocket(path: path)]) { plane in
                #expect(mode(path) == S_IFSOCK | 0o660)
                #expect(mode("/tmp/jobworker-\(getpid())") == S_IFDIR | 0o755)
                try await plane.expectAlive()
            }
            rmdir("/tmp/jobworker-\(getpid())")
        }
    }

    @Test(.enabled(if: geteuid() == 0, "only root can give files to any group"))
    func `the group gets the socket`() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/worker.sock"
            try await withControlPlane(listeningOn: [.unixSocket(path: path, group: "nogroup")]) { _ in
                var status = stat()
                lstat(path, &status)
                #expect(status.st_gid == getgrnam("nogroup")?.pointee.gr_gid)
                #expect(status.st_mode == S_IFSOCK | 0o660)
            }
        }
    }

    @Test func `a stale socket is replaced`() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/worker.sock"
            // As a killed process leaves it.
            close(try plantSocket(path, isListening: true))
            try await withControlPlane(listeningOn: [.unixSocket(path: path)]) { plane in
                try await plane.expectAlive()
            }
        }
    }

    @Test func `a socket on which somebody answers is left to them`() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/worker.sock"
            try await withControlPlane(listeningOn: [.unixSocket(path: path)]) { first in
                await expectRefusal(path, .inUse)
                try await first.expectAlive()
            }
        }
    }

    @Test func `a socket whose owner is too busy to answer is left to it`() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/worker.sock"
            let busy = try plantSocket(path, isListening: true)
            defer { close(busy) }
            // The queue of an owner who accepts nothing holds one.
            let waiting = try await RawConnection(to: .unixSocket(path: path))
            await expectRefusal(path, .inUse)
            #expect(mode(path) != nil)
            withExtendedLifetime(waiting) {}
        }
    }

    @Test(arguments: ["a symbolic link", "a directory", "a file", "a special file"])
    func `what is no socket is not removed`(kind: String) async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/worker.sock"
            switch kind {
            case "a symbolic link":
                // Even where it leads to a stale socket.
                close(try plantSocket("\(directory)/target", isListening: false))
                symlink("\(directory)/target", path)
            case "a directory": mkdir(path, 0o755)
            case "a file": close(open(path, O_CREAT | O_WRONLY, 0o600))
            default: mkfifo(path, 0o600)
            }
            let before = mode(path)
            await expectRefusal(path, .occupied(kind))
            #expect(mode(path) == before)
        }
    }

    @Test(.enabled(if: geteuid() == 0, "only root can plant another user's file"))
    func `another user's socket is not removed`() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/worker.sock"
            close(try plantSocket(path, isListening: false))
            chown(path, 4321, 4321)
            await expectRefusal(path, .occupied("a socket of the user with the number 4321"))
        }
    }

    @Test func `what has taken the socket's place is not removed at the end`() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/worker.sock"
            try await withControlPlane(listeningOn: [.unixSocket(path: path)]) { _ in
                unlink(path)
                close(open(path, O_CREAT | O_WRONLY, 0o600))
            }
            #expect(mode(path) == S_IFREG | 0o600)
        }
    }

    @Test(arguments: ["", "/tmp/\(String(repeating: "x", count: 103))"])
    func `a path no socket can have is refused`(path: String) async {
        await expectRefusal(path, .badPath)
    }

    @Test func `a directory that can't be made is told`() async {
        await expectRefusal("/nowhere/below/worker.sock", .system("opening its directory", code: ENOENT))
    }

    @Test func `when one address can't be had, none is kept`() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/worker.sock"
            let (taken, port) = try listenOnLoopback(backlog: 1)
            defer { close(taken) }
            await #expect(throws: ListenError(address: "127.0.0.1:\(port)", reason: .inUse)) {
                try await withControlPlane(
                    listeningOn: [.unixSocket(path: path), .tcp(host: "127.0.0.1", port: Int(port))]) { _ in }
            }
            #expect(mode(path) == nil)
        }
    }

    // MARK: Descriptors from systemd

    @Test func `a port that systemd opened is served, and stays open for the next process`() async throws {
        let (systemds, port) = try listenOnLoopback(backlog: 16)
        defer { close(systemds) }
        for _ in 1...2 {
            try await withControlPlane(listeningOn: [.descriptor(dup(systemds))]) { plane in
                #expect(plane.address == .tcp(host: "127.0.0.1", port: Int(port)))
                try await plane.expectAlive()
            }
            // Nobody accepts it now, but the port takes it.
            _ = try await RawConnection(to: .tcp(host: "127.0.0.1", port: Int(port)))
        }
    }

    @Test func `a socket that systemd opened is served and not removed`() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/worker.sock"
            let systemds = try plantSocket(path, isListening: true)
            defer { close(systemds) }
            try await withControlPlane(listeningOn: [.descriptor(dup(systemds))]) { plane in
                #expect(plane.address == .unixSocket(path: path))
                try await plane.expectAlive()
            }
            #expect(mode(path) != nil)
        }
    }

    @Test func `a descriptor that doesn't listen is refused`() async throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        await #expect(throws: ListenError(address: "descriptor \(descriptor)", reason: .notListening)) {
            try await withControlPlane(listeningOn: [.descriptor(descriptor)]) { _ in }
        }
    }
}

/// Type and rights of what is at `path`; `nil` if nothing is.
private func mode(_ path: String) -> mode_t? {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode : nil
}

private func plantSocket(_ path: String, isListening: Bool) throws -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    try withUnixAddress(path) { address, length in
        guard bind(descriptor, address, length) == 0, !isListening || listen(descriptor, 0) == 0 else {
            throw SocketFailure("bind \(path)")
        }
    }
    return descriptor
}

private func expectRefusal(_ path: String, _ reason: ListenError.Reason, _ location: SourceLocation = #_sourceLocation)
    async
{
    await #expect(throws: ListenError(address: path, reason: reason), sourceLocation: location) {
        try await withControlPlane(listeningOn: [.unixSocket(path: path)]) { _ in }
    }
}
