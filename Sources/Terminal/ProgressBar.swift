/// How far something has come, as `██████░░░░  60 %`.
public struct ProgressBar: Sendable {
    /// From 0 to 1; what is outside is cut.
    private let share: Double

    public init(share: Double) { self.share = share.isNaN ? 0 : max(0, min(1, share)) }

    public init(_ done: Int, of total: Int) { self.init(share: total > 0 ? Double(done) / Double(total) : 0) }

    /// - Parameter width: Of the bar itself, in columns.
    public func text(width: Int = 20) -> String {
        // Full only when it is done.
        let filled = share == 1 ? width : min(width - 1, Int((share * Double(width)).rounded()))
        let percent = share == 1 ? 100 : min(99, Int((share * 100).rounded()))
        return String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
            + "  \(percent < 10 ? " " : "")\(percent) %"
    }
}
