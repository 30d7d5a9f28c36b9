@testable import Telemetry
import Testing

struct StatsdOutboxTests {
    private let start = ContinuousClock.now

    private func text(_ datagrams: [[UInt8]]) -> [String] { datagrams.map { String(decoding: $0, as: UTF8.self) } }

    @Test func `lines share datagrams of at most the given length`() {
        var outbox = StatsdOutbox(bytesMax: 11)
        for line in ["aaaaa", "bbbbb", "ccccc", "ddddddddddd", "e"] { _ = outbox.add(line, now: start) }
        let (datagrams, dropped) = outbox.take(begunUntil: start, all: true)
        #expect(text(datagrams) == ["aaaaa\nbbbbb", "ccccc", "ddddddddddd", "e"])
        #expect(dropped == 0)
    }

    @Test func `a datagram waits until it is full or old enough`() {
        var outbox = StatsdOutbox(bytesMax: 11)
        let isBegun = outbox.add("aaaaa", now: start)
        let isFuller = outbox.add("bbbbb", now: start + .seconds(1))
        #expect(isBegun && !isFuller)
        #expect(outbox.take(begunUntil: start - .seconds(1), all: false).datagrams.isEmpty)
        let isFull = outbox.add("ccccc", now: start + .seconds(2))
        #expect(isFull)
        #expect(text(outbox.take(begunUntil: start - .seconds(1), all: false).datagrams) == ["aaaaa\nbbbbb"])
        #expect(outbox.begunAt == start + .seconds(2))
        #expect(text(outbox.take(begunUntil: start + .seconds(2), all: false).datagrams) == ["ccccc"])
        #expect(outbox.begunAt == nil)
    }

    @Test func `what nobody takes is dropped, the oldest first, and counted`() {
        var outbox = StatsdOutbox(bytesMax: 4, datagramsMax: 3)
        for number in 1000..<1010 { _ = outbox.add("\(number)", now: start) }
        _ = outbox.add("too long", now: start)
        let (datagrams, dropped) = outbox.take(begunUntil: start, all: true)
        #expect(text(datagrams) == ["1007", "1008", "1009"])
        #expect(dropped == 8)
        #expect(outbox.take(begunUntil: start, all: true).dropped == 0)
    }
}
