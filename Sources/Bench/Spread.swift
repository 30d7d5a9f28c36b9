/// How measured times are spread.
package struct Spread: Sendable, Encodable {
    package let count: Int
    package let p50: Double
    package let p95: Double
    package let p99: Double
    package let max: Double

    /// - Parameter values: At least one.
    package init(_ values: [Double]) {
        precondition(!values.isEmpty, "nothing was measured")
        let sorted = values.sorted()
        // The smallest value that so many per cent of all don't exceed.
        func percentile(_ share: Double) -> Double {
            sorted[Swift.min(sorted.count - 1, Swift.max(0, Int((share * Double(sorted.count)).rounded(.up)) - 1))]
        }
        count = sorted.count
        p50 = percentile(0.5)
        p95 = percentile(0.95)
        p99 = percentile(0.99)
        max = sorted[sorted.count - 1]
    }
}

extension Duration {
    var milliseconds: Double { self / .milliseconds(1) }
}
