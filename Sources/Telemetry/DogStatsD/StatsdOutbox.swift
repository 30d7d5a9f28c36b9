/// Lines that wait to be sent, packed into datagrams. A value: it is told the time, and says what is to be sent.
struct StatsdOutbox: Sendable {
    /// Longest datagram.
    let bytesMax: Int
    /// Most full datagrams that wait; beyond them the oldest is dropped.
    let datagramsMax: Int

    private var full: [[UInt8]] = []
    private var current: [UInt8] = []
    /// When the first line of the current datagram came.
    private(set) var begunAt: ContinuousClock.Instant?
    /// Datagrams, and lines too long for one, that were dropped since the last `take`.
    private var dropped = 0

    init(bytesMax: Int, datagramsMax: Int = 128) {
        self.bytesMax = bytesMax
        self.datagramsMax = datagramsMax
        current.reserveCapacity(bytesMax)
    }

    /// - Returns: Whether somebody should look: a datagram has been begun, or is full.
    mutating func add(_ line: String, now: ContinuousClock.Instant) -> Bool {
        let count = line.utf8.count
        guard count <= bytesMax else {
            dropped += 1
            return false
        }
        var isNews = false
        if !current.isEmpty, current.count + 1 + count > bytesMax {
            close()
            isNews = true
        }
        if current.isEmpty {
            begunAt = now
            isNews = true
        } else {
            current.append(UInt8(ascii: "\n"))
        }
        current.append(contentsOf: line.utf8)
        return isNews
    }

    /// What is to be sent by now.
    /// - Parameter all: Also a datagram that was begun after `since`.
    mutating func take(
        begunUntil since: ContinuousClock.Instant, all: Bool
    ) -> (datagrams: [[UInt8]], dropped: Int) {
        if let begunAt, all || begunAt <= since { close() }
        defer { (full, dropped) = ([], 0) }
        return (full, dropped)
    }

    private mutating func close() {
        if full.count >= datagramsMax {
            full.removeFirst()
            dropped += 1
        }
        full.append(current)
        current.removeAll(keepingCapacity: true)
        begunAt = nil
    }
}
