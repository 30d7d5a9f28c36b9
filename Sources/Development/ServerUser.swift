import Glibc

/// Who runs a private PostgreSQL server: this user, or for root, which PostgreSQL refuses, the user `postgres`.
struct ServerUser: Sendable {
    /// `nil`: this process' own user.
    private let other: (name: String, uid: uid_t, gid: gid_t)?

    init() throws(DevelopmentError) {
        guard geteuid() == 0 else {
            other = nil
            return
        }
        let name = "postgres"
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        guard getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else {
            throw DevelopmentError(
                "PostgreSQL doesn't run as root, and there is no user \(name) to run it. "
                    + "Use another user, or: apt install postgresql")
        }
        other = (name, entry.pw_uid, entry.pw_gid)
    }

    /// The command as this user runs it. It stays one process, so that a signal reaches the program itself.
    func command(_ command: [String]) -> [String] {
        guard let other else { return command }
        return ["setpriv", "--reuid=\(other.uid)", "--regid=\(other.gid)", "--init-groups", "--"] + command
    }

    /// Makes a folder that only this user may enter; one that is there stays as it is.
    func makeDirectory(_ path: String) throws(DevelopmentError) {
        guard mkdir(path, 0o700) == 0 else {
            if errno == EEXIST { return }
            throw DevelopmentError("The folder \(path) can't be made: \(String(cString: strerror(errno)))")
        }
        try give(path)
    }

    /// Hands a file or folder of ours over.
    func give(_ path: String) throws(DevelopmentError) {
        guard let other else { return }
        guard chown(path, other.uid, other.gid) == 0 else {
            throw DevelopmentError("\(path) can't be given to \(other.name): \(String(cString: strerror(errno)))")
        }
    }
}
