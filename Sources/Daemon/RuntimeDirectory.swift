import FoundationEssentials
import Glibc
import Settings

/// Where the socket and the instance's lock are.
public struct RuntimeDirectory: Sendable, Hashable {
    public let path: String

    /// `$RUNTIME_DIRECTORY`, else `/run/jobworker` for root, else `$XDG_RUNTIME_DIR/jobworker`, else one of the
    /// user's own in `/tmp`.
    public init(environment: [String: String], userID: UInt32? = nil) {
        let user = userID ?? geteuid()
        // systemd names several with colons between them; the first is the unit's own.
        let own = environment["RUNTIME_DIRECTORY"]?.split(separator: ":").first.map(String.init)
        if let own {
            path = own
        } else if user == 0 {
            path = "/run/jobworker"
        } else if let session = environment["XDG_RUNTIME_DIR"], !session.isEmpty {
            path = "\(session)/jobworker"
        } else {
            path = "/tmp/jobworker-\(user)"
        }
    }

    /// The control plane's socket, unless `WORKER_SOCKET` names another.
    public var socketPath: String { "\(path)/worker.sock" }

    /// The socket of another instance of this host, where systemd runs one with each name.
    public func socketPath(instance: String) -> String {
        let base = path.hasSuffix("/jobworker") ? path : "/run/jobworker"
        return "\(base)/\(instance)/worker.sock"
    }

    /// The sockets of all workers of this host: one in the directory itself, one in the folder of each instance.
    public func allSocketPaths() -> [String] {
        let base = path.hasSuffix("/jobworker") ? path : "/run/jobworker"
        let folders = ((try? FileManager.default.contentsOfDirectory(atPath: base)) ?? []).sorted()
        let candidates = ["\(base)/worker.sock"] + folders.map { "\(base)/\($0)/worker.sock" }
        return candidates.filter { access($0, F_OK) == 0 }
    }

    /// Makes it, if it is missing.
    /// - Returns: Why that failed; `nil` if it is there.
    func make() -> String? {
        if mkdir(path, 0o755) == 0 || errno == EEXIST { return nil }
        return "the directory \(path) can't be made: \(String(cString: strerror(errno)))"
    }
}
