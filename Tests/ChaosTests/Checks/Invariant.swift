/// Something that must hold, as a query for what breaks it.
struct Invariant: Sendable {
    let name: String
    /// Gives `job` (or NULL) and `detail` for each violation.
    let sql: String
    /// Breaks it in what was written down, for `--prove`: whether the query would notice.
    var spoil: String?

    static let all = outcomes + claims + times + rows + arrangements

    /// `1 s, doubled for each attempt, up to the greatest`, in seconds.
    static func delay(_ attempt: String) -> String {
        "least(\(Course.retryBase) * 2 ^ (\(attempt) - 1), \(Course.retryMax))"
    }

    static let isFinal = "('completed', 'failed', 'cancelled', 'dead_letter')"
}
