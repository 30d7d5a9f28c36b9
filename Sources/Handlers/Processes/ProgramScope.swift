import CProcess
import Glibc

/// A control group of its own for one program, where systemd gave this service its own part of the tree (`Delegate=yes`).
/// Whatever the program starts stays in it, in whatever session and with whatever environment.
struct ProgramScope {
    private let path: String
    /// Whoever writes `0` into it is a member from then on.
    let members: String

    /// The group of this service, if new ones may be made below it.
    private static let base = delegated(
        membership: ProcessFile.read("/proc/self/cgroup") ?? [], root: "/sys/fs/cgroup"
    ) { cprocess_is_delegated($0) != 0 }

    /// - Returns: `nil` where there is none to be had; the program is then told by its session and its environment.
    init?(number: UInt64) {
        guard let base = ProgramScope.base else { return nil }
        path = "\(base)/job-\(number)"
        members = path + "/cgroup.procs"
        // One may be left of a worker in the same service that was killed.
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else { return nil }
    }

    /// The folder of the group, where its owner was told that it is theirs: that alone says that nobody else moves things
    /// there. Only with version 2 of control groups, and a kernel that can end a whole group (5.14).
    /// - Parameter membership: What `/proc/self/cgroup` says.
    static func delegated(membership: [UInt8], root: String, isMarked: (String) -> Bool) -> String? {
        let text = String(decoding: membership, as: UTF8.self)
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }) else { return nil }
        let path = root + line.dropFirst(3)
        guard isMarked(path), access(path, W_OK) == 0, access(path + "/cgroup.procs", W_OK) == 0,
            access(path + "/cgroup.kill", F_OK) == 0
        else { return nil }
        return path
    }

    /// SIGKILL to all that are in it.
    func kill() { ProcessFile.write("1", to: path + "/cgroup.kill") }

    /// Whether somebody is in it, zombies apart.
    var isPopulated: Bool {
        guard let events = ProcessFile.read(path + "/cgroup.events") else { return false }
        return String(decoding: events, as: UTF8.self).split(separator: "\n").contains("populated 1")
    }

    /// Whether a process, maybe a zombie, is or was in it.
    func holds(_ pid: pid_t) -> Bool {
        guard let membership = ProcessFile.read("/proc/\(pid)/cgroup") else { return false }
        let name = path.split(separator: "/").last ?? ""
        return String(decoding: membership, as: UTF8.self).split(separator: "\n")
            .contains { $0.hasPrefix("0::") && $0.split(separator: "/").contains(name) }
    }

    /// Once nobody is in it any more.
    func remove() { rmdir(path) }
}
