/// A rate measured several times.
package struct Repetitions: Sendable, Encodable {
    package let median: Double
    package let least: Double
    package let most: Double
    package let count: Int

    /// - Parameter values: At least one.
    package init(_ values: [Double]) {
        precondition(!values.isEmpty, "nothing was measured")
        let sorted = values.sorted()
        let middle = sorted.count / 2
        median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        (least, most, count) = (sorted[0], sorted[sorted.count - 1], sorted.count)
    }
}
