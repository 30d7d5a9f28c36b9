import Synchronization

/// One waiting caller of `Client.send(_:)`. Whoever ends it first, the transfer's thread or the
/// caller's cancellation, gives the result; later ends are ignored.
///
/// A `Mutex`, not an actor: both ends are synchronous. The call is known by its identity, so nothing
/// has to be kept, or forgotten, about calls that ended early.
final class Call: Sendable {
    typealias Outcome = Result<Response, any Error>

    private enum State {
        case created
        case waiting(CheckedContinuation<Response, any Error>)
        case ended(Outcome)
    }

    let request: Request
    let deadline: ContinuousClock.Instant
    private let state = Mutex(State.created)

    init(_ request: Request) {
        self.request = request
        deadline = .now + request.timeout
    }

    /// Whether nobody waits any more.
    var hasEnded: Bool {
        state.withLock { if case .ended = $0 { true } else { false } }
    }

    /// Lets `continuation` wait. If the call has ended already it is resumed and the answer is `false`.
    func begin(_ continuation: CheckedContinuation<Response, any Error>) -> Bool {
        let early: Outcome? = state.withLock { state in
            if case .ended(let outcome) = state { return outcome }
            state = .waiting(continuation)
            return nil
        }
        guard let early else { return true }
        continuation.resume(with: early)
        return false
    }

    /// Resumes the caller. `false` if the call had ended before.
    @discardableResult
    func end(_ outcome: Outcome) -> Bool {
        let previous = state.withLock { state in
            let previous = state
            if case .ended = state { return previous }
            state = .ended(outcome)
            return previous
        }
        switch previous {
        case .created: return true
        case .waiting(let continuation):
            continuation.resume(with: outcome)
            return true
        case .ended: return false
        }
    }
}
