public import FoundationEssentials
public import Postgres

/// An event that this process is to send to an endpoint now.
public struct WebhookDelivery: Sendable {
    /// The same at every try, so that a receiver can drop repeats.
    public let id: UUID
    public let endpointID: UUID
    /// `nil` for an endpoint of operators.
    public let workspaceID: UUID?
    public let url: String
    /// As it is stored.
    public let sealedSecret: String
    /// As `job.completed`.
    public let event: String
    public let createdAt: Timestamp
    /// What is told, as JSON.
    public let data: String
    /// 1 for the first try.
    public let attempt: Int
    /// Until then nobody else sends it; tells this try from others.
    let leasedUntil: Timestamp
    /// The endpoint's tries before this one had failed.
    let isProbe: Bool
}

/// What came of a try.
public struct WebhookAnswer: Sendable, Hashable {
    public enum Outcome: Sendable, Hashable {
        case delivered
        /// To be tried again.
        case failed
        /// The receiver wants no more, ever.
        case gone
    }

    public var outcome: Outcome
    /// The answer's; `nil` where there was none.
    public var status: Int?
    /// A sentence; `nil` where it was delivered.
    public var error: String?
    /// How long the receiver asks to wait.
    public var retryAfter: Duration?

    public init(outcome: Outcome, status: Int? = nil, error: String? = nil, retryAfter: Duration? = nil) {
        self.outcome = outcome
        self.status = status
        self.error = error
        self.retryAfter = retryAfter
    }
}

/// How deliveries leave the process.
public protocol WebhookTransport: Sendable {
    /// Sends it once, within ten seconds.
    /// - Parameter reachesPrivate: Whether it may go to private and loopback addresses.
    /// - Returns: `nil` where the task was cancelled before the receiver had answered.
    func send(_ delivery: WebhookDelivery, reachesPrivate: Bool) async -> WebhookAnswer?
}

/// When a delivery that failed is tried again.
package enum WebhookRetry {
    /// 5 s, 15 s, 45 s … 4 h, and up to a fifth more by chance.
    /// - Parameters:
    ///   - attempt: The one that failed, from 1.
    ///   - random: In 0..<1.
    package static func delay(after attempt: Int, random: Double = .random(in: 0..<1)) -> Duration {
        var delay = Duration.seconds(5)
        for _ in 1..<max(2, min(attempt, 20)) where attempt > 1 { delay = min(delay * 3, .seconds(14_400)) }
        return delay * (1 + 0.2 * random)
    }
}
