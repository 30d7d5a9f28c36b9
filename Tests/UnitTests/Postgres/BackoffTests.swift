import Postgres
import Testing

@Suite struct BackoffTests {
    @Test func `the pause doubles up to the cap, and starts anew after a success`() {
        var backoff = Backoff(base: .milliseconds(100), cap: .seconds(3))
        let almostOne = 1.0.nextDown
        let pauses = (0..<7).map { _ in backoff.next(random: almostOne) }
        let steps: [Duration] = [100, 200, 400, 800, 1600, 3000, 3000].map { .milliseconds($0) }
        for (pause, step) in zip(pauses, steps) { #expect(step - pause < .milliseconds(1) && pause <= step) }
        backoff.reset()
        #expect(backoff.next(random: almostOne) <= .milliseconds(100))
    }

    @Test func `even the luckiest caller waits a tenth of the step`() {
        var backoff = Backoff(base: .seconds(1), cap: .seconds(60))
        #expect(backoff.next(random: 0) == .milliseconds(100))
        #expect(backoff.next(random: 0) == .milliseconds(200))
    }

    @Test func `a hundred failures don't overflow`() {
        var backoff = Backoff()
        for _ in 0..<100 { #expect(backoff.next() <= .seconds(3)) }
    }
}
