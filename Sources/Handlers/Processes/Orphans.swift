import Glibc

/// Processes that came into this process's care when the one that started them ended.
enum Orphans {
    /// They are the children of the first thread; those that were started here are children of the thread that did it.
    static func current() -> [pid_t] {
        guard let list = ProcessFile.read("/proc/self/task/\(getpid())/children") else { return scan() }
        return list.split(separator: UInt8(ascii: " ")).compactMap { pid_t(String(decoding: $0, as: UTF8.self)) }
    }

    /// For kernels that keep no such list.
    private static func scan() -> [pid_t] {
        guard let folder = opendir("/proc") else { return [] }
        defer { closedir(folder) }
        var found: [pid_t] = []
        let own = getpid()
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let pid = pid_t(name), ProcessState(pid)?.parent == own { found.append(pid) }
        }
        return found
    }
}

/// A line of `/proc/PID/stat`.
struct ProcessState {
    let isZombie: Bool
    let parent: pid_t
    let session: pid_t
    /// Since the machine was started.
    let startTicks: UInt64

    /// `nil` where there is no such process.
    init?(_ pid: pid_t) {
        // The name stands in parentheses and may hold some itself.
        guard let bytes = ProcessFile.read("/proc/\(pid)/stat"), let end = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let fields = bytes[(end + 1)...].split(separator: UInt8(ascii: " "))
            .map { String(decoding: $0, as: UTF8.self) }
        guard fields.count > 19, let parent = pid_t(fields[1]), let session = pid_t(fields[3]),
            let ticks = UInt64(fields[19])
        else { return nil }
        isZombie = fields[0] == "Z" || fields[0] == "X"
        self.parent = parent
        self.session = session
        startTicks = ticks
    }
}

/// Small files of `/proc`.
enum ProcessFile {
    /// At most its first 256 KiB; `nil` where it can't be read.
    static func read(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        while bytes.count < 262_144 {
            let part = [UInt8](unsafeUninitializedCapacity: 8192) { buffer, count in
                count = max(0, Glibc.read(descriptor, buffer.baseAddress, buffer.count))
            }
            if part.isEmpty { break }
            bytes += part
        }
        return bytes
    }

    static func write(_ text: String, to path: String) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var text = text
        _ = text.withUTF8 { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    }
}
