import FoundationEssentials
import Glibc
import Settings

/// Who this process is among all workers.
public struct Identity: Sendable, Hashable {
    /// Unique per process, at most 100 characters.
    public let workerID: String
    /// Stable over restarts, on this host.
    public let instance: String
    public let host: String
    /// `/etc/machine-id`; "" where there is none, and then nothing is taken back from a predecessor.
    public let machineID: String

    init(_ configuration: Configuration) {
        host = Identity.hostName()
        machineID = Identity.machineID()
        instance = configuration[Catalog.instance]
        workerID =
            configuration[Catalog.workerID]
            ?? Identity.uniqueID(host: host, processID: getpid(), random: .random(in: 0..<0x100_0000))
    }

    static func uniqueID(host: String, processID: Int32, random: UInt32) -> String {
        let digits = String(random, radix: 16)
        return "\(host.prefix(70))-\(processID)-\(String(repeating: "0", count: 6 - digits.count))\(digits)"
    }

    private static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func machineID() -> String {
        guard let data = try? Data(contentsOf: URL(filePath: "/etc/machine-id")), data.count <= 100 else { return "" }
        return String(decoding: data, as: UTF8.self).filter { $0.isHexDigit }
    }
}
