import Synchronization

/// A clock that goes on when a test says so.
package final class SteeredClock: Sendable {
    private let moment = Mutex(ContinuousClock.now)

    package init() {}

    package var now: ContinuousClock.Instant { moment.withLock { $0 } }
    package func pass(_ duration: Duration) { moment.withLock { $0 += duration } }
}
