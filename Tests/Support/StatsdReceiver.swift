import Glibc
import Synchronization

/// A server of DogStatsD for tests: takes datagrams at a socket of its own, and reads each line by the format's page,
/// https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/
package final class StatsdReceiver: Sendable {
    /// `<name>:<value>|<type>[|@<rate>][|#<tag>:<value>,…]`
    package struct Metric: Sendable, Hashable {
        package let name: String
        package let value: Double
        /// `c`, `g`, `h`, `d`, `ms` or `s`.
        package let type: String
        package let tags: [String: String]

        /// `nil` where the line breaks the format.
        package init?(_ line: String) {
            let fields = line.split(separator: "|", omittingEmptySubsequences: false)
            guard fields.count >= 2, let colon = fields[0].firstIndex(of: ":") else { return nil }
            name = String(fields[0][..<colon])
            guard name.wholeMatch(of: /[A-Za-z][A-Za-z0-9_.]{0,199}/) != nil else { return nil }
            guard let value = Double(fields[0][fields[0].index(after: colon)...]), value.isFinite else { return nil }
            self.value = value
            type = String(fields[1])
            guard ["c", "g", "h", "d", "ms", "s"].contains(type) else { return nil }
            var tags: [String: String] = [:]
            for field in fields.dropFirst(2) {
                switch field.first {
                case "@":
                    guard let rate = Double(field.dropFirst()), rate > 0, rate <= 1 else { return nil }
                case "#":
                    for tag in field.dropFirst().split(separator: ",", omittingEmptySubsequences: false) {
                        let parts = tag.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                        guard let key = parts.first, !key.isEmpty, !tag.contains(where: \.isWhitespace) else {
                            return nil
                        }
                        tags[String(key)] = parts.count > 1 ? String(parts[1]) : ""
                    }
                default: return nil
                }
            }
            self.tags = tags
        }
    }

    package enum Place: Sendable {
        /// Any free port of the loopback, or this one.
        case udp(port: UInt16 = 0)
        case socket(path: String)
    }

    /// The UDP port; 0 for a Unix socket.
    package let port: UInt16
    private let descriptor: Int32

    package init(_ place: Place) throws(ReceiverFailure) {
        switch place {
        case .udp(let wanted):
            descriptor = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = wanted.bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let descriptor = descriptor
            let result = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
                }
            }
            guard result == 0 else { throw ReceiverFailure(code: errno) }
            port = UInt16(bigEndian: address.sin_port)
        case .socket(let path):
            descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            port = 0
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { place in
                path.utf8CString.prefix(107).withUnsafeBytes { place.copyMemory(from: $0) }
            }
            unlink(path)
            let descriptor = descriptor
            let result = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            guard result == 0 else { throw ReceiverFailure(code: errno) }
        }
        var megabytes: Int32 = 4 << 20
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &megabytes, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { Glibc.close(descriptor) }

    /// Stops listening; what is sent here from now on is refused.
    package func close() {
        let nothing = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        // In its place, so that the number stays this object's own.
        dup2(nothing, descriptor)
        Glibc.close(nothing)
    }

    /// One datagram; `nil` if none comes in time. Looks now and then, and holds no thread while it waits.
    package func datagram(within limit: Duration = .seconds(20)) async -> String? {
        let deadline = ContinuousClock.now + limit
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, Int32(truncatingIfNeeded: MSG_DONTWAIT))
            if count >= 0 { return String(decoding: buffer.prefix(count), as: UTF8.self) }
            guard ContinuousClock.now < deadline, !Task.isCancelled else { return nil }
            try? await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Gathers metrics until some are there.
    /// - Throws: A line that breaks the format; or what came, if that isn't it in time.
    package func metrics(
        within limit: Duration = .seconds(40), until isEnough: ([Metric]) -> Bool
    ) async throws(ReceiverFailure) -> [Metric] {
        let deadline = ContinuousClock.now + limit
        var metrics: [Metric] = []
        while !isEnough(metrics) {
            guard let datagram = await datagram(within: max(deadline - .now, .zero)) else {
                throw ReceiverFailure("not among \(metrics.map { "\($0.name) \($0.tags)" })")
            }
            for line in datagram.split(separator: "\n", omittingEmptySubsequences: false) {
                guard let metric = Metric(String(line)) else { throw ReceiverFailure("against the format: \(line)") }
                metrics.append(metric)
            }
        }
        return metrics
    }
}

package struct ReceiverFailure: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }

    init(code: Int32) { description = String(cString: strerror(code)) }
}
