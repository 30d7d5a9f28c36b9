import Glibc
import Synchronization

/// The file of a Unix socket that this process made.
///
/// Nobody but the owner can open it before its rights are final, and nobody can connect before that either: the file
/// comes into being with mode 0600, whatever the umask (Linux takes the mode of the socket itself into account), and
/// listening begins when group and mode are set. Makers and removers in one directory keep out of each other's way
/// by a lock on that directory.
final class SocketFile: Sendable {
    /// `sockaddr_un` holds 108, of which one is the zero at the end.
    static let pathBytesMax = 107

    let path: String
    private let device: dev_t
    private let inode: ino_t
    private let isRemoved = Atomic(false)

    private init(path: String, device: dev_t, inode: ino_t) {
        self.path = path
        self.device = device
        self.inode = inode
    }

    /// Makes the socket and listens on it; a stale one of this user is replaced. Asks the file system: may block.
    /// - Returns: The descriptor, which is the caller's to close.
    static func listen(
        at path: String, group: String?, backlog: Int32
    ) throws(ListenError) -> (descriptor: Int32, file: SocketFile) {
        guard (1...pathBytesMax).contains(path.utf8.count), !path.utf8.contains(0) else {
            throw ListenError(address: path, reason: .badPath)
        }
        let lock = try DirectoryLock(of: path, makingIt: true)
        defer { lock.release() }
        try clear(path)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure("socket", path) }
        do throws(ListenError) {
            return (descriptor, try bind(descriptor, to: path, group: group, backlog: backlog))
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Removes the file, unless somebody else's is in its place by now. Call it before the descriptor is closed: until
    /// then the inode can't be another one's. For the same reason a second call does nothing.
    func remove() {
        guard !isRemoved.exchange(true, ordering: .relaxed), let lock = try? DirectoryLock(of: path, makingIt: false)
        else { return }
        defer { lock.release() }
        var status = stat()
        if lstat(path, &status) == 0, status.st_dev == device, status.st_ino == inode { unlink(path) }
    }

    // MARK: Steps

    private static func bind(
        _ descriptor: Int32, to path: String, group: String?, backlog: Int32
    ) throws(ListenError) -> SocketFile {
        guard fchmod(descriptor, 0o600) == 0 else { throw failure("fchmod", path) }
        guard withSocketAddress(path, { Glibc.bind(descriptor, $0, $1) }) == 0 else { throw failure("bind", path) }
        var status = stat()
        guard lstat(path, &status) == 0 else { throw failure("lstat", path) }
        let file = SocketFile(path: path, device: status.st_dev, inode: status.st_ino)
        // Refused for a group this user isn't in: then the owner alone connects, or those of the owner's group.
        if let group, let id = groupID(named: group) { _ = lchown(path, uid_t.max, id) }
        guard chmod(path, 0o660) == 0, Glibc.listen(descriptor, backlog) == 0 else {
            let error = failure("listen", path)
            unlink(path)
            throw error
        }
        return file
    }

    /// Removes a stale socket of this user's; leaves everything else alone.
    private static func clear(_ path: String) throws(ListenError) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw failure("lstat", path)
        }
        let kind: String? =
            switch status.st_mode & S_IFMT {
            case S_IFSOCK: status.st_uid == geteuid() ? nil : "a socket of the user with the number \(status.st_uid)"
            case S_IFLNK: "a symbolic link"
            case S_IFDIR: "a directory"
            case S_IFREG: "a file"
            default: "a special file"
            }
        if let kind { throw ListenError(address: path, reason: .occupied(kind)) }
        guard try isStale(path) else { throw ListenError(address: path, reason: .inUse) }
        if unlink(path) != 0, errno != ENOENT { throw failure("unlink", path) }
    }

    /// Whether nobody listens. A full queue of a live server says `EAGAIN`.
    private static func isStale(_ path: String) throws(ListenError) -> Bool {
        let flags = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, flags, 0)
        guard descriptor >= 0 else { throw failure("socket", path) }
        defer { close(descriptor) }
        return withSocketAddress(path) { connect(descriptor, $0, $1) } != 0
            && (errno == ECONNREFUSED || errno == ENOENT)
    }

    private static func groupID(named name: String) -> gid_t? {
        var entry = group()
        var found: UnsafeMutablePointer<group>?
        var buffer = [CChar](repeating: 0, count: 16 * 1024)
        guard getgrnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        return entry.gr_gid
    }

    private static func failure(_ call: String, _ path: String) -> ListenError {
        ListenError(address: path, reason: .system(call, code: errno))
    }
}

/// Keeps other processes that heed it from making or removing sockets in a directory.
private struct DirectoryLock {
    private let descriptor: Int32

    init(of path: String, makingIt: Bool) throws(ListenError) {
        let directory = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        if makingIt, mkdir(directory, 0o755) == 0 {
            // The umask may have taken away what others need to reach the socket.
            chmod(directory, 0o755)
        }
        descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ListenError(address: path, reason: .system("opening its directory", code: errno))
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            throw ListenError(address: path, reason: code == EWOULDBLOCK ? .busy : .system("flock", code: code))
        }
    }

    func release() { close(descriptor) }
}

/// Lends the address of the Unix socket at `path`, which fits.
private func withSocketAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) { address in
        address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}
