public import FoundationEssentials

/// The text form of a UUID, read and written by hand: Foundation does it through `sscanf` and `snprintf`, which was a
/// fifth of a busy worker's processor time.
extension UUID: PostgresCodable {
    public static var postgresType: UInt32 { 2950 }
    public static var postgresArrayType: UInt32 { 2951 }
    public var postgresText: String { text }

    /// 32 digits in either case, with hyphens in the usual places: https://www.rfc-editor.org/rfc/rfc9562#section-4
    public init?(postgresText: String) { self.init(digits: postgresText.utf8) }

    public init?(postgresBytes: UnsafeRawBufferPointer) { self.init(digits: postgresBytes) }

    private init?(digits text: some Sequence<UInt8>) {
        var bytes: (UInt64, UInt64) = (0, 0)
        var digits = 0
        var position = 0
        for byte in text {
            defer { position += 1 }
            switch position {
            case 8, 13, 18, 23:
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            default: break
            }
            guard let digit = UUID.value(ofHex: byte), digits < 32 else { return nil }
            if digits < 16 { bytes.0 = bytes.0 << 4 | UInt64(digit) } else { bytes.1 = bytes.1 << 4 | UInt64(digit) }
            digits += 1
        }
        guard digits == 32 else { return nil }
        let (high, low) = (bytes.0.bigEndian, bytes.1.bigEndian)
        self.init(
            uuid: withUnsafeBytes(of: (high, low)) { $0.loadUnaligned(as: uuid_t.self) })
    }

    /// Lower case, as PostgreSQL and the application's addresses write it.
    public var text: String {
        withUnsafeBytes(of: uuid) { bytes in
            String(unsafeUninitializedCapacity: 36) { text in
                var position = 0
                for (index, byte) in bytes.enumerated() {
                    if index == 4 || index == 6 || index == 8 || index == 10 {
                        text[position] = UInt8(ascii: "-")
                        position += 1
                    }
                    text[position] = UUID.hex(byte >> 4)
                    text[position + 1] = UUID.hex(byte & 15)
                    position += 2
                }
                return position
            }
        }
    }

    private static func hex(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }

    private static func value(ofHex byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
