/// Growing pauses between tries to reach the database again, with full jitter so that many workers
/// don't come back in step.
public struct Backoff: Sendable {
    public let base: Duration
    public let cap: Duration
    private var failures = 0

    public init(base: Duration = .milliseconds(100), cap: Duration = .seconds(3)) {
        self.base = base
        self.cap = cap
    }

    /// The pause after one more failure: anywhere from a tenth of the step up to the step, which doubles up to the cap.
    /// - Parameter random: In 0..<1.
    public mutating func next(random: Double = .random(in: 0..<1)) -> Duration {
        let step = min(cap, base * (1 << min(failures, 20)))
        failures += 1
        return step * (0.1 + 0.9 * random)
    }

    public mutating func reset() { failures = 0 }
}
