import Synchronization

/// How many wrong tokens are taken in a minute, from whomever: a token can't be guessed faster.
///
/// A `Mutex`: requests come at the same time.
final class SignInLimit: Sendable {
    static let failuresMax = 10
    private static let window = Duration.seconds(60)

    private let failures = Mutex<[ContinuousClock.Instant]>([])

    func isOpen(now: ContinuousClock.Instant = .now) -> Bool {
        failures.withLock { failures in
            failures.removeAll { $0 < now - Self.window }
            return failures.count < Self.failuresMax
        }
    }

    func failed(now: ContinuousClock.Instant = .now) { failures.withLock { $0.append(now) } }
}
