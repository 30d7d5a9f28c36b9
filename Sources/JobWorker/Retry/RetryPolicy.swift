/// How long a failed job waits before its next attempt.
public struct RetryPolicy: Sendable, Hashable {
    /// The delay after the first failure.
    public let delayBase: Duration
    public let delayMax: Duration
    /// Greatest share added at random: 0 for none. A delay is never shortened.
    public let jitter: Double

    public init(delayBase: Duration = .seconds(60), delayMax: Duration = .seconds(3600), jitter: Double = 0) {
        self.delayBase = delayBase
        self.delayMax = delayMax
        self.jitter = jitter
    }

    /// The delay after `attempt` failed, the first attempt being 1: `min(base·2^(n−1), max)·(1+random·jitter)`.
    /// - Parameters:
    ///   - attempt: Its number.
    ///   - random: In 0..<1. The caller draws it, so that a test needn't.
    public func delay(after attempt: Int, random: Double) -> Duration {
        precondition(attempt >= 1, "attempts count from 1")
        // 2^30 base delays are beyond any cap in use, and can't overflow.
        let doubled = delayBase * (1 << min(attempt - 1, 30))
        let capped = min(doubled, delayMax)
        return jitter > 0 ? capped * (1 + random * jitter) : capped
    }
}
