package import FoundationEssentials
package import Postgres

/// An event that this process is to send to an endpoint now.
package struct WebhookDelivery: Sendable {
    /// The same at every try, so that a receiver can drop repeats.
    package let id: UUID
    package let endpointID: UUID
    /// `nil` for an endpoint of operators.
    package let workspaceID: UUID?
    package let url: String
    /// As it is stored.
    package let sealedSecret: String
    /// As `job.completed`.
    package let event: String
    package let createdAt: Timestamp
    /// What is told, as JSON.
    package let data: String
    /// 1 for the first try.
    package let attempt: Int
    /// Until then nobody else sends it; tells this try from others.
    let leasedUntil: Timestamp
    /// The endpoint's tries before this one had failed.
    let isProbe: Bool
}

/// What came of a try.
package struct WebhookAnswer: Sendable, Hashable {
    package enum Outcome: Sendable, Hashable {
        case delivered
        /// To be tried again.
        case failed
        /// The receiver wants no more, ever.
        case gone
    }

    package var outcome: Outcome
    /// The answer's; `nil` where there was none.
    package var status: Int?
    /// A sentence; `nil` where it was delivered.
    package var error: String?
    /// How long the receiver asks to wait.
    package var retryAfter: Duration?

    package init(outcome: Outcome, status: Int? = nil, error: String? = nil, retryAfter: Duration? = nil) {
        self.outcome = outcome
        self.status = status
        self.error = error
        self.retryAfter = retryAfter
    }
}

/// How deliveries leave the process.
package protocol WebhookTransport: Sendable {
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
