import Glibc
import JobWorker

/// Users of this machine by name.
enum UserLookup {
    static func user(named name: String) throws(JobFailure) -> Launch.User {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        let user: (uid_t, gid_t, String)? = buffer.withUnsafeMutableBufferPointer { bytes in
            guard let start = bytes.baseAddress,
                getpwnam_r(name, &entry, start, bytes.count, &found) == 0, found != nil
            else { return nil }
            return (entry.pw_uid, entry.pw_gid, entry.pw_dir.map { String(cString: $0) } ?? "/")
        }
        guard let user else { throw .retryable("The handler's user '\(name)' is not known on this machine") }
        var groups = [gid_t](repeating: 0, count: 256)
        var count = Int32(groups.count)
        if getgrouplist(name, user.1, &groups, &count) < 0 { count = 0 }
        return Launch.User(id: user.0, group: user.1, groups: Array(groups.prefix(Int(count))), home: user.2)
    }
}

/// The file of a program.
enum ProgramPath {
    /// A name without a slash is looked for in `path`, a relative path in `directory`.
    static func find(_ program: String, in path: String, _ directory: String) throws(JobFailure) -> String {
        if program.hasPrefix("/") { return program }
        if program.contains("/") { return "\(directory)/\(program)" }
        for folder in path.split(separator: ":") {
            let candidate = "\(folder)/\(program)"
            if access(candidate, X_OK) == 0 { return candidate }
        }
        throw .retryable("The program '\(program)' is not found in \(path)")
    }
}
