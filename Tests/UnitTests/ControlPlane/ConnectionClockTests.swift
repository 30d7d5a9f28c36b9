@testable import ControlPlane
import NIOCore
import Testing

/// How long a client may keep a connection waiting, by the state of the connection.
struct ConnectionClockTests {
    private static let limits = HTTPLimits()
    private enum Event { case bytes, head, bodyEnd, answer, leave, blocked, caughtUp }

    /// The events come a second apart, the first at second 1.
    private func deadline(after events: [Event]) -> Int? {
        var clock = ConnectionClock(now: at(0))
        for (index, event) in events.enumerated() {
            let now = at(Int64(index) + 1)
            switch event {
            case .bytes: clock.bytesArrived(now: now)
            case .head: clock.headArrived(now: now)
            case .bodyEnd: clock.bodyEnded(now: now)
            case .answer: clock.answerEnded(now: now)
            case .leave: clock.leaves(now: now)
            case .blocked: clock.writability(false, now: now)
            case .caughtUp: clock.writability(true, now: now)
            }
        }
        return clock.deadline(Self.limits).map { Int(($0 - at(0)).nanoseconds / 1_000_000_000) }
    }

    private func at(_ second: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(second) }

    @Test func `a new or kept connection has the idle time for its next request`() {
        #expect(deadline(after: []) == 60)
        #expect(deadline(after: [.head, .bodyEnd, .answer]) == 3 + 60)
    }

    @Test func `a request that began has little time for its headers, however often bytes come`() {
        #expect(deadline(after: [.bytes]) == 1 + 10)
        #expect(deadline(after: [.bytes, .bytes, .bytes]) == 1 + 10)
    }

    @Test func `a body has its time from the headers on`() {
        #expect(deadline(after: [.bytes, .head]) == 2 + 30)
    }

    @Test func `the rest of a body that was answered early has no more time`() {
        #expect(deadline(after: [.head, .answer]) == 1 + 30)
    }

    @Test func `a client that waits for its answer has no deadline`() {
        #expect(deadline(after: [.head, .bodyEnd]) == nil)
    }

    @Test func `a body behind a request in progress has its time from that one's answer on`() {
        #expect(deadline(after: [.head, .bodyEnd, .head]) == nil)
        #expect(deadline(after: [.head, .bodyEnd, .head, .answer]) == 4 + 30)
    }

    @Test func `after the last answer the client has little time to hang up`() {
        #expect(deadline(after: [.head, .bodyEnd, .answer, .leave]) == 4 + 2)
    }

    @Test func `an answer must be read in time`() {
        #expect(deadline(after: [.head, .bodyEnd, .blocked, .blocked]) == 3 + 30)
        #expect(deadline(after: [.head, .bodyEnd, .blocked, .caughtUp]) == nil)
    }

    @Test func `only a body that is late and unanswered can still be answered`() {
        var clock = ConnectionClock(now: at(0))
        clock.headArrived(now: at(0))
        #expect(!clock.isBodyLate(Self.limits, now: at(29)))
        #expect(clock.isBodyLate(Self.limits, now: at(30)))
        clock.answerEnded(now: at(30))
        #expect(!clock.isBodyLate(Self.limits, now: at(90)))
    }
}
