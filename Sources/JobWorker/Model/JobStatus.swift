/// Where a job stands, as `jobs.status` spells it.
public enum JobStatus: String, Sendable, Hashable, Codable, CaseIterable {
    /// Due, scheduled for later, or waiting to be tried again.
    case pending
    /// Waits for other jobs.
    case blocked
    /// An attempt is running.
    case processing
    case completed
    /// Attempts used up, or not worth another.
    case failed
    /// Set aside by a person or a queue's rule.
    case deadLetter = "dead_letter"
    case cancelled

    /// Whether nothing more happens to the job by itself.
    public var isFinal: Bool {
        switch self {
        case .pending, .blocked, .processing: false
        case .completed, .failed, .deadLetter, .cancelled: true
        }
    }
}
