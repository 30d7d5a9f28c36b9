import FoundationEssentials
import Glibc

/// The person at the terminal, for the audit.
enum UnixUser {
    /// Who called sudo, if somebody did: "root" would say nothing. Else the user of the process.
    static let name: String = {
        if getuid() == 0, let caller = ProcessInfo.processInfo.environment["SUDO_USER"], isName(caller) {
            return caller
        }
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        let name: String? = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16_384) { buffer in
            guard let start = buffer.baseAddress,
                getpwuid_r(getuid(), &entry, start, buffer.count, &found) == 0, let name = found?.pointee.pw_name
            else {
                return nil
            }
            return String(cString: name)
        }
        return name ?? String(getuid())
    }()

    private static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
    }
}
