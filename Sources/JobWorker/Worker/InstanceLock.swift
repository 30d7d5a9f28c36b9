import Glibc

/// The lock that only one process of an instance on this machine holds, so that a successor knows its
/// predecessor to be dead. The kernel lets go of it when the process ends, however it ends.
package final class InstanceLock: Sendable {
    private let descriptor: Int32

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Why there is no lock.
    package enum Failure: Error, Sendable, CustomStringConvertible {
        /// Another process of the same instance runs.
        case held(path: String)
        case unusable(path: String, reason: String)

        package var description: String {
            switch self {
            case .held(let path):
                "another worker of the same instance runs on this machine (\(path) is locked); give each its own WORKER_INSTANCE"
            case .unusable(let path, let reason): "the lock \(path) can't be taken: \(reason)"
            }
        }
    }

    /// Takes `<directory>/<instance>.lock`, without waiting.
    package static func take(instance: String, directory: String) throws(Failure) -> InstanceLock {
        let path = "\(directory)/\(instance.replacing("/", with: "_")).lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .unusable(path: path, reason: String(cString: strerror(errno))) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            if code == EWOULDBLOCK { throw .held(path: path) }
            throw .unusable(path: path, reason: String(cString: strerror(code)))
        }
        return InstanceLock(descriptor: descriptor)
    }
}
