/// How urgent a job is: −10…10, higher first.
public struct Priority: Sendable, Hashable, Comparable {
    public let rawValue: Int

    public static let high = Priority(unchecked: 5)
    public static let normal = Priority(unchecked: 0)
    public static let low = Priority(unchecked: -5)
    public static let range = -10...10

    private init(unchecked value: Int) { rawValue = value }

    /// - Returns: `nil` outside of −10…10.
    public init?(_ value: Int) {
        guard Priority.range.contains(value) else { return nil }
        rawValue = value
    }

    /// Reads `high`, `normal`, `low` or a number.
    public init?(text: String) {
        switch text.lowercased() {
        case "high": self = .high
        case "normal": self = .normal
        case "low": self = .low
        default:
            guard let value = Int(text), let priority = Priority(value) else { return nil }
            self = priority
        }
    }

    public static func < (left: Priority, right: Priority) -> Bool { left.rawValue < right.rawValue }
}
