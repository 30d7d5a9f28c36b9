/// Reads TZif, the form of compiled zones (RFC 9636). Leap seconds aren't known of: PostgreSQL doesn't count them.
extension ZoneRules {
    /// - Returns: `nil` for what is no whole TZif file.
    package init?(tzif bytes: [UInt8]) {
        var reader = ZoneFileReader(bytes)
        guard let old = reader.header() else { return nil }
        if old.version == 0 {
            guard let body = reader.body(old, timeSize: 4) else { return nil }
            self.init(first: body.first, changes: body.changes, tail: nil)
            return
        }
        // From version 2 on the same follows once more, with times of 64 bits.
        reader.skip(old.length(timeSize: 4))
        guard let header = reader.header(), let body = reader.body(header, timeSize: 8), let footer = reader.footer()
        else { return nil }
        guard !footer.isEmpty else {
            self.init(first: body.first, changes: body.changes, tail: nil)
            return
        }
        guard let tail = PosixZone(footer[...]) else { return nil }
        self.init(first: body.first, changes: body.changes, tail: tail)
    }
}

private struct ZoneFileReader {
    struct Header {
        let version: UInt8
        let counts: [Int]
        var changes: Int { counts[3] }
        var types: Int { counts[4] }

        /// Of the body.
        func length(timeSize: Int) -> Int {
            changes * (timeSize + 1) + types * 6 + counts[5] + counts[2] * (timeSize + 4) + counts[1] + counts[0]
        }
    }

    struct Body {
        let first: Int
        let changes: [ZoneRules.Change]
    }

    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func skip(_ count: Int) { position += count }

    mutating func header() -> Header? {
        guard bytes.count >= position + 44, Array("TZif".utf8) == Array(bytes[position..<position + 4]) else {
            return nil
        }
        let version = bytes[position + 4]
        // isutc, isstd, leap, time, type, char.
        let counts = (0..<6).map { number(at: position + 20 + $0 * 4, size: 4) }
        position += 44
        guard counts.allSatisfy({ (0...100_000).contains($0) }), counts[4] > 0, counts[4] <= 256 else { return nil }
        return Header(version: version, counts: counts)
    }

    mutating func body(_ header: Header, timeSize: Int) -> Body? {
        guard bytes.count >= position + header.length(timeSize: timeSize) else { return nil }
        let times = position
        let indices = times + header.changes * timeSize
        let types = indices + header.changes
        let offsets = (0..<header.types).map { number(at: types + $0 * 6, size: 4) }
        guard offsets.allSatisfy({ abs($0) < 26 * 3600 }) else { return nil }
        var changes: [ZoneRules.Change] = []
        changes.reserveCapacity(header.changes)
        for index in 0..<header.changes {
            let at = number(at: times + index * timeSize, size: timeSize)
            let type = Int(bytes[indices + index])
            guard type < offsets.count, changes.last.map({ $0.at < at }) ?? true else { return nil }
            // Some files begin with a mark at the Big Bang.
            changes.append(ZoneRules.Change(at: max(at, -1 << 40), offset: offsets[type]))
        }
        position += header.length(timeSize: timeSize)
        return Body(first: offsets[0], changes: changes)
    }

    /// The rule between two line ends.
    func footer() -> String? {
        guard position < bytes.count, bytes[position] == 10, let end = bytes[(position + 1)...].firstIndex(of: 10)
        else {
            return nil
        }
        return String(decoding: bytes[position + 1..<end], as: UTF8.self)
    }

    /// Big-endian, signed.
    private func number(at start: Int, size: Int) -> Int {
        var value: UInt64 = 0
        for index in start..<start + size { value = value << 8 | UInt64(bytes[index]) }
        return size == 4 ? Int(Int32(truncatingIfNeeded: value)) : Int(Int64(bitPattern: value))
    }
}
