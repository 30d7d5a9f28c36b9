import Postgres
import Synchronization

/// What ended in this process since it was last stored: sums by queue and type, for the charts that people look at.
///
/// A `Mutex`: each run adds to it once, which takes less than a microsecond.
package final class RunTally: Sendable {
    package struct Kind: Sendable, Hashable {
        package let queue: String
        package let type: String

        package init(queue: String, type: String) {
            self.queue = queue
            self.type = type
        }
    }

    package struct Sums: Sendable, Hashable {
        package var completed = 0
        package var failed = 0
        package var retried = 0
        /// From due to start, counted by `RunTally.bounds`.
        package var waits = [Int](repeating: 0, count: RunTally.bounds.count + 1)
        /// From start to the stored outcome.
        package var runs = [Int](repeating: 0, count: RunTally.bounds.count + 1)

        package init() {}
    }

    /// Where one count ends and the next begins, in seconds: from a millisecond to some hours, each 1.7 times the one
    /// before. What is stored relies on them: they stay.
    package static let bounds: [Double] = (0..<31).reduce(into: []) { bounds, _ in
        bounds.append((bounds.last ?? 0.001 / 1.7) * 1.7)
    }

    /// Queues and types are free texts of other programs: what goes beyond so many kinds between two times of storing is
    /// counted as one.
    static let kindsMax = 500

    /// A list beside the dictionary: to change a dictionary's value takes allocations.
    private struct State {
        var places: [Kind: Int] = [:]
        var sums: [Sums] = []

        mutating func place(of kind: Kind) -> Int {
            if let place = places[kind] { return place }
            let kept = sums.count < RunTally.kindsMax ? kind : Kind(queue: "other", type: "other")
            if let place = places[kept] { return place }
            places[kept] = sums.count
            sums.append(Sums())
            return sums.count - 1
        }
    }

    private let state = Mutex(State())
    private let began = Wakeup()

    package init() {}

    func ended(_ job: Job, as stored: Stored, after duration: Duration) {
        add(
            Kind(queue: job.queue, type: job.type), stored, wait: job.startedAt.duration(since: job.dueAt),
            run: duration)
    }

    /// - Parameter stored: Anything but an end or a failure is passed over: it says nothing of how work goes.
    func add(_ kind: Kind, _ stored: Stored, wait: Duration, run: Duration) {
        guard stored == .completed || stored == .failed || stored == .retried else { return }
        let isFirst = state.withLock { state in
            let isFirst = state.sums.isEmpty
            state.sums[state.place(of: kind)].count(stored, wait, run)
            return isFirst
        }
        if isFirst { began.raise() }
    }

    /// Takes everything out.
    func take() -> [Kind: Sums] {
        state.withLock { state in
            defer { state = State() }
            return state.places.mapValues { state.sums[$0] }
        }
    }

    /// Puts back what could not be stored.
    func putBack(_ taken: [Kind: Sums]) {
        state.withLock { state in
            for (kind, sums) in taken {
                let place = state.place(of: kind)
                state.sums[place] = state.sums[place] + sums
            }
        }
        began.raise()
    }

    /// Returns once there is something, or the task is cancelled.
    func waitForSomething() async { await began.wait() }

    /// Which count a time belongs to.
    package static func place(of duration: Duration) -> Int {
        let seconds = duration.seconds
        var (low, high) = (0, bounds.count)
        while low < high {
            let middle = (low + high) / 2
            if seconds < bounds[middle] { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// The time that a share of all stayed below, in seconds; `nil` without any. Right to a third or so.
    package static func percentile(_ share: Double, of counts: [Int]) -> Double? {
        let all = counts.reduce(0, +)
        guard all > 0 else { return nil }
        var rest = share * Double(all)
        for (place, count) in counts.enumerated() where count > 0 {
            if rest <= Double(count) {
                let low = place == 0 ? 0 : bounds[min(place, bounds.count) - 1]
                let high = place < bounds.count ? bounds[place] : low * 1.7
                return low + (high - low) * rest / Double(count)
            }
            rest -= Double(count)
        }
        return bounds.last
    }
}

extension RunTally.Sums {
    fileprivate mutating func count(_ stored: Stored, _ wait: Duration, _ run: Duration) {
        switch stored {
        case .completed: completed += 1
        case .failed: failed += 1
        default: retried += 1
        }
        waits[RunTally.place(of: wait)] += 1
        runs[RunTally.place(of: run)] += 1
    }

    package static func + (left: Self, right: Self) -> Self {
        var sum = left
        sum.completed += right.completed
        sum.failed += right.failed
        sum.retried += right.retried
        for place in sum.waits.indices {
            sum.waits[place] += right.waits[place]
            sum.runs[place] += right.runs[place]
        }
        return sum
    }
}
