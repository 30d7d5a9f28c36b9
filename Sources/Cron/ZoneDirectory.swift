import Glibc

/// Where the machine keeps its time zones: files named `Europe/Berlin`, brought by the package tzdata.
///
/// A file is read anew each time, so that an update counts at once; it is a few kilobytes.
package struct ZoneDirectory: Sendable {
    package static let system = ZoneDirectory(path: "/usr/share/zoneinfo")
    private static let bytesMax = 1 << 17
    private let path: String

    package init(path: String) { self.path = path }

    /// - Throws: `CronError` for a name that is no IANA zone's, or where the machine doesn't know it.
    package func rules(of name: String) throws(CronError) -> ZoneRules {
        if ["UTC", "Etc/UTC", "GMT", "Etc/GMT", "Z"].contains(name) { return .utc }
        guard ZoneDirectory.isName(name) else {
            throw CronError("'\(name.prefix(100))' is no time zone: write an IANA name such as Europe/Berlin, or UTC")
        }
        guard let bytes = ZoneDirectory.read("\(path)/\(name)") else {
            guard access(path + "/Europe", F_OK) == 0 else {
                throw CronError(
                    "this machine knows no time zones: install the package tzdata (looked in \(path))",
                    isOfMachine: true)
            }
            throw CronError(
                "the time zone '\(name)' is not known: write an IANA name such as Europe/Berlin, or UTC",
                isOfMachine: true)
        }
        guard let rules = ZoneRules(tzif: bytes) else {
            throw CronError(
                "the file of the time zone '\(name)' can't be read: install the package tzdata again",
                isOfMachine: true)
        }
        return rules
    }

    private static func isName(_ name: String) -> Bool {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard name.utf8.count <= 64, (1...3).contains(parts.count), !["posix", "right"].contains(parts[0]) else {
            return false
        }
        return parts.allSatisfy { part in
            part.first.map { $0.isASCII && $0.isUppercase } == true
                && part.utf8.allSatisfy {
                    (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 95 || $0 == 45
                        || $0 == 43
                }
        }
    }

    private static func read(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= bytesMax else {
            return nil
        }
        let size = Int(status.st_size)
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size {
                let more = Glibc.read(descriptor, buffer.baseAddress.map { $0 + count }, size - count)
                if more < 0, errno == EINTR { continue }
                guard more > 0 else { break }
                count += more
            }
        }
    }
}
