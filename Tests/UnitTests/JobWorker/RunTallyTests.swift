import Testing

@testable import JobWorker

/// What ended, in sums.
@Suite struct RunTallyTests {
    private let kind = RunTally.Kind(queue: "default", type: "noop")

    @Test func `sums are taken once, and what could not be stored comes back`() {
        let tally = RunTally()
        tally.add(kind, .completed, wait: .milliseconds(5), run: .seconds(2))
        tally.add(kind, .failed, wait: .milliseconds(5), run: .seconds(2))
        tally.add(kind, .retried, wait: .milliseconds(5), run: .seconds(2))
        tally.add(kind, .fenced, wait: .milliseconds(5), run: .seconds(2))
        let taken = tally.take()
        #expect(taken[kind].map { [$0.completed, $0.failed, $0.retried] } == [1, 1, 1])
        #expect(taken[kind]?.waits[RunTally.place(of: .milliseconds(5))] == 3)
        #expect(tally.take().isEmpty)
        tally.add(kind, .completed, wait: .zero, run: .zero)
        tally.putBack(taken)
        #expect(tally.take()[kind]?.completed == 2)
    }

    @Test func `beyond so many types the rest is one`() {
        let tally = RunTally()
        for number in 0..<(RunTally.kindsMax + 50) {
            tally.add(.init(queue: "default", type: "type \(number)"), .completed, wait: .zero, run: .zero)
        }
        let taken = tally.take()
        #expect(taken.count <= RunTally.kindsMax + 1)
        #expect(taken[.init(queue: "other", type: "other")]?.completed == 50)
    }

    @Test(arguments: [0.0005, 0.003, 0.2, 1, 14, 500, 9000])
    func `a percentile of equal times is that time, by a factor of 1.7 at most`(seconds: Double) throws {
        var counts = [Int](repeating: 0, count: RunTally.bounds.count + 1)
        counts[RunTally.place(of: .seconds(seconds))] = 20
        let found = try #require(RunTally.percentile(0.5, of: counts))
        #expect(found <= max(seconds, 0.001) * 1.7 && (found >= seconds / 1.7 || seconds < 0.001))
    }

    @Test func `percentiles of nothing are nothing, and of a wide spread in order`() throws {
        #expect(RunTally.percentile(0.5, of: [0, 0]) == nil)
        var counts = [Int](repeating: 0, count: RunTally.bounds.count + 1)
        for second in 1...100 { counts[RunTally.place(of: .seconds(second))] += 1 }
        let (middle, high) = (
            try #require(RunTally.percentile(0.5, of: counts)), try #require(RunTally.percentile(0.95, of: counts))
        )
        #expect((30...70).contains(middle) && (75...130).contains(high))
    }
}
