/// Measured values, summed up: times of many events, or one rate of several runs.
package struct Sample: Sendable, Encodable, Equatable {
    package let count: Int
    package let min: Double
    /// The median: of an even number of values the mean of the two in the middle.
    package let p50: Double
    /// The smallest value that so many per cent of all don't exceed.
    package let p90: Double
    package let p95: Double
    package let p99: Double
    package let max: Double

    /// - Parameter values: At least one.
    package init(_ values: [Double]) {
        precondition(!values.isEmpty, "nothing was measured")
        let sorted = values.sorted()
        func percentile(_ share: Int) -> Double { sorted[(share * sorted.count + 99) / 100 - 1] }
        let middle = sorted.count / 2
        count = sorted.count
        min = sorted[0]
        p50 = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        p90 = percentile(90)
        p95 = percentile(95)
        p99 = percentile(99)
        max = sorted[sorted.count - 1]
    }
}

/// Something measured in turn with what it is compared with.
package struct Comparison: Sendable, Encodable {
    package let measured: Sample
    package let compared: Sample
    /// Of the medians, the first over the second.
    package let ratio: Double

    package init(_ measured: [Double], to compared: [Double]) {
        self.measured = Sample(measured)
        self.compared = Sample(compared)
        ratio = self.measured.p50 / self.compared.p50
    }
}

extension Duration {
    var milliseconds: Double { self / .milliseconds(1) }
}
