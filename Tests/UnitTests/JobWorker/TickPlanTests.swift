import FoundationEssentials
import Synchronization
import Testing

@testable import JobWorker

@Suite struct TickPlanTests {
    private let start = ContinuousClock.now
    private let id = UUID()

    private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .seconds(seconds) }

    @Test func `the earliest time that is told counts`() {
        var plan = TickPlan { 0 }
        #expect(plan.due == nil)
        plan.hear(at(5))
        plan.hear(at(9))
        #expect(plan.due == at(5))
        plan.hear(at(1))
        #expect(plan.due == at(1))
    }

    @Test func `what is told while a tick is under way survives its end`() {
        var plan = TickPlan { 0 }
        plan.hear(at(0))
        _ = plan.begins(now: at(0))
        plan.hear(at(2))
        plan.ends(next: at(3600))
        #expect(plan.due == at(2))
        _ = plan.begins(now: at(2))
        plan.ends(next: at(3600))
        #expect(plan.due == at(3600))
    }

    @Test func `a worker that others forestall comes later to the next tick, until it is the first`() {
        var plan = TickPlan { 0.5 }
        plan.hear(at(1))
        var late: [Duration] = []
        for second in 1...7 {
            late.append((plan.due ?? start) - at(Double(second)))
            _ = plan.begins(now: at(Double(second) + 0.5))
            plan.ends(next: at(Double(second + 1)), isInVain: second < 6)
        }
        #expect(late == [7.5, 15, 30, 30, 30, 30, 7.5].map { .milliseconds($0) })
    }

    @Test func `telling the same time again and again brings a worker no nearer to it`() {
        let draws = Draws()
        var plan = TickPlan { draws.next() }
        for _ in 0..<5 { plan.hear(at(1)) }
        #expect((plan.due ?? start) - at(1) == .milliseconds(15) * 0.9)
        _ = plan.begins(now: at(1.1))
        plan.ends(next: at(2))
        #expect((plan.due ?? start) - at(2) == .milliseconds(15) * 0.8)
    }

    @Test func `a schedule that somebody holds is tried again soon, then more and more seldom`() {
        var plan = TickPlan { 0 }
        var pauses: [Duration] = []
        for round in 0..<8 {
            let now = at(Double(round * 100))
            #expect(plan.begins(now: now).isEmpty)
            let isNew = plan.rest(id, because: .contention, now: now)
            #expect(isNew == (round == 0))
            plan.ends(next: nil)
            pauses.append((plan.due ?? now) - now)
        }
        #expect(pauses == [100, 200, 400, 800, 1600, 3200, 5000, 5000].map { .milliseconds($0) })
        plan.took(id)
        let isNew = plan.rest(id, because: .contention, now: at(900))
        #expect(isNew)
    }

    @Test func `a rest that is over before the tick has ended brings another tick nevertheless`() {
        var plan = TickPlan { 0 }
        _ = plan.begins(now: at(0))
        _ = plan.rest(id, because: .contention, now: at(0))
        plan.ends(next: nil)
        #expect(plan.due == at(0.1))
        // It left the schedule alone, and ended when it would not have.
        #expect(plan.begins(now: at(0.05)) == [id])
        plan.ends(next: nil)
        #expect(plan.due == at(0.1))
        #expect(plan.begins(now: at(3)).isEmpty)
        plan.ends(next: nil)
        #expect(plan.due == nil)
    }

    @Test func `a schedule that rests is left alone until then, and the others aren't`() {
        var plan = TickPlan { 0 }
        _ = plan.begins(now: at(0))
        _ = plan.rest(id, because: .obstacle, now: at(0))
        plan.ends(next: at(1))
        #expect(plan.due == at(1))
        #expect(plan.begins(now: at(1)) == [id])
        plan.ends(next: nil)
        #expect(plan.due == at(60))
        #expect(plan.begins(now: at(60)).isEmpty)
        // Nothing that is over brings a look by itself.
        plan.ends(next: nil)
        #expect(plan.due == nil)
    }

    @Test func `an obstacle is told once while it lasts, and anew when it comes back later`() {
        var plan = TickPlan { 0 }
        var told: [Bool] = []
        for minute in 0..<3 {
            _ = plan.begins(now: at(Double(minute) * 60))
            told.append(plan.rest(id, because: .obstacle, now: at(Double(minute) * 60)))
        }
        _ = plan.begins(now: at(7200))
        told.append(plan.rest(id, because: .obstacle, now: at(7200)))
        #expect(told == [true, false, false, true])
    }

    @Test func `after a failure nothing is tried before the pause is over`() {
        var plan = TickPlan { 0 }
        plan.hear(at(0))
        plan.fails(until: at(3))
        #expect(plan.due == at(3))
    }
}

/// 0.9, 0.8, 0.7 and so on.
private final class Draws: Sendable {
    private let count = Atomic(0)

    func next() -> Double { Double(9 - count.add(1, ordering: .relaxed).oldValue) / 10 }
}
