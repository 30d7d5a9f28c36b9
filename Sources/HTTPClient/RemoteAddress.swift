import Glibc

/// An IP address that a connection is about to go to, or has gone to.
struct RemoteAddress {
    /// 4 or 16, in network order.
    let bytes: [UInt8]

    /// - Parameter text: As libcurl writes an address: numbers, without a port.
    init?(text: String) {
        var bytes = [UInt8](repeating: 0, count: 16)
        // The zone of a link-local address stands behind a percent sign.
        let plain = String(text.prefix { $0 != "%" })
        if inet_pton(AF_INET, plain, &bytes) == 1 {
            self.bytes = Array(bytes.prefix(4))
        } else if inet_pton(AF_INET6, plain, &bytes) == 1 {
            self.bytes = bytes
        } else {
            return nil
        }
    }

    init(bytes: [UInt8]) {
        precondition(bytes.count == 4 || bytes.count == 16, "an IP address has 4 or 16 bytes")
        self.bytes = bytes
    }

    /// Whether anybody on the internet may be there: by the registries of special-purpose addresses
    /// (https://www.iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry).
    var isPublic: Bool { bytes.count == 4 ? RemoteAddress.isPublic(bytes[...]) : isPublicIPv6 }

    private static let specialIPv4: [(network: [UInt8], bits: Int)] = [
        ([0, 0, 0, 0], 8), ([10, 0, 0, 0], 8), ([100, 64, 0, 0], 10), ([127, 0, 0, 0], 8), ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12), ([192, 0, 0, 0], 24), ([192, 0, 2, 0], 24), ([192, 31, 196, 0], 24),
        ([192, 52, 193, 0], 24), ([192, 88, 99, 0], 24), ([192, 168, 0, 0], 16), ([192, 175, 48, 0], 24),
        ([198, 18, 0, 0], 15), ([198, 51, 100, 0], 24), ([203, 0, 113, 0], 24),
        // Multicast, what is reserved, broadcast.
        ([224, 0, 0, 0], 3),
        // A cloud's platform answers its machines there.
        ([168, 63, 129, 16], 32),
    ]

    private static let specialIPv6: [(network: [UInt8], bits: Int)] = [
        // Teredo, benchmarks, ORCHID; documentation; 6to4; documentation; segment routing.
        ([0x20, 0x01], 23), ([0x20, 0x01, 0x0d, 0xb8], 32), ([0x20, 0x02], 16), ([0x3f, 0xff], 20),
        ([0x26, 0x20, 0x00, 0x4f, 0x80, 0x00], 48),
    ]

    private var isPublicIPv6: Bool {
        // A gateway translates these (NAT64); where to is in the last bytes.
        if RemoteAddress.starts(bytes[...], with: [0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0], bits: 96) {
            return RemoteAddress.isPublic(bytes[12...])
        }
        // What is given out to the public today; IPv4 written as IPv6, loopback, local ones and multicast lie outside.
        guard RemoteAddress.starts(bytes[...], with: [0x20], bits: 3) else { return false }
        return !RemoteAddress.specialIPv6.contains { RemoteAddress.starts(bytes[...], with: $0.network, bits: $0.bits) }
    }

    private static func isPublic(_ bytes: ArraySlice<UInt8>) -> Bool {
        !specialIPv4.contains { starts(bytes, with: $0.network, bits: $0.bits) }
    }

    private static func starts(_ bytes: ArraySlice<UInt8>, with network: [UInt8], bits: Int) -> Bool {
        for (index, byte) in bytes.enumerated() where index * 8 < bits {
            let mask = bits - index * 8 >= 8 ? 0xff : UInt8(truncatingIfNeeded: 0xff00 >> (bits - index * 8))
            let wanted = index < network.count ? network[index] : 0
            if byte & mask != wanted & mask { return false }
        }
        return true
    }
}

extension RemoteAddress: CustomStringConvertible {
    var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else {
            return "?"
        }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
