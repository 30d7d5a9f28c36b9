import CoreMetrics
import Synchronization

/// One figure with its labels: a number, and for histograms how often it lay below each bound.
///
/// A `Mutex`: an update is a few additions, and readers want sum and counts that belong together.
final class Series: CounterHandler, RecorderHandler, MeterHandler, TimerHandler {
    struct Value {
        var number = 0.0
        /// How often a value lay at or below each bound, and above all of them; not summed up.
        var counts: [Int]
        var count = 0
    }

    let buckets: [Double]
    private let state: Mutex<Value>
    private let observer: MetricRegistry.Observer?

    init(buckets: [Double], observer: MetricRegistry.Observer?) {
        self.buckets = buckets
        self.observer = observer
        state = Mutex(Value(counts: Array(repeating: 0, count: buckets.count + 1)))
    }

    var value: Value { state.withLock { $0 } }

    // MARK: Counter

    func increment(by amount: Int64) {
        state.withLock { $0.number += Double(amount) }
        observer?(.counted(Double(amount)))
    }

    func reset() { state.withLock { $0.number = 0 } }

    // MARK: Gauge

    func set(_ value: Int64) { set(Double(value)) }

    func set(_ value: Double) {
        state.withLock { $0.number = value }
        observer?(.set(value))
    }

    func increment(by amount: Double) {
        let value = state.withLock { state in
            state.number += amount
            return state.number
        }
        observer?(.set(value))
    }

    func decrement(by amount: Double) { increment(by: -amount) }

    // MARK: Histogram

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        guard !buckets.isEmpty else { return set(value) }
        let place = buckets.firstIndex { value <= $0 } ?? buckets.count
        state.withLock { state in
            state.counts[place] += 1
            state.count += 1
            state.number += value
        }
        observer?(.timed(seconds: value))
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
}
