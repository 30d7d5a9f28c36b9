/// The level of a row in `job_logs`.
public enum JobLogLevel: String, Sendable, Hashable, Codable, CaseIterable, Comparable {
    case debug, info, warn, error

    /// Reads also `warning`, as older rows have it.
    public init?(text: String) {
        self.init(rawValue: text == "warning" ? "warn" : text)
    }

    public static func < (left: JobLogLevel, right: JobLogLevel) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .debug: 0
        case .info: 1
        case .warn: 2
        case .error: 3
        }
    }
}
