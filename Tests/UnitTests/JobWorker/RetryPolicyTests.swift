import JobWorker
import Testing

@Suite struct RetryPolicyTests {
    @Test(arguments: [(1, 60), (2, 120), (3, 240), (4, 480), (5, 960), (6, 1920), (7, 3600), (8, 3600), (1000, 3600)])
    func `the delay doubles from a minute up to an hour`(attempt: Int, seconds: Int) {
        #expect(RetryPolicy().delay(after: attempt, random: 0.5) == .seconds(seconds))
    }

    @Test func `jitter only makes a delay longer, at the maximum too`() {
        let policy = RetryPolicy(delayBase: .seconds(10), delayMax: .seconds(40), jitter: 0.2)
        #expect(policy.delay(after: 1, random: 0) == .seconds(10))
        #expect(policy.delay(after: 1, random: 0.5) == .seconds(11))
        #expect(policy.delay(after: 9, random: 0.5) == .seconds(44))
    }
}
