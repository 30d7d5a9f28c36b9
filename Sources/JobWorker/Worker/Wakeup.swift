import Synchronization

/// A flag that one loop waits for, with a time limit or without. Raised several times before the loop looks, it
/// wakes it once.
///
/// A `Mutex`, not an actor: raising it must not wait for anybody.
final class Wakeup: Sendable {
    private struct State {
        var isRaised = false
        var isClosed = false
        var wait: UInt64 = 0
        var waiter: CheckedContinuation<Void, Never>?
        /// Of the wait before: ended by the next wait, so that who was woken has nothing to do first.
        var timer: Task<Void, Never>?
    }

    private let state = Mutex(State())

    deinit { state.withLock { $0.timer?.cancel() } }

    func raise() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.isRaised = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Raised for good: every later wait returns at once.
    func close() {
        state.withLock { $0.isClosed = true }
        raise()
    }

    var isClosed: Bool { state.withLock { $0.isClosed } }

    /// Returns when the flag is raised, `deadline` has passed or the task is cancelled. Lowers the flag.
    /// - Parameter deadline: `nil` for none.
    /// - Returns: Whether it was raised.
    @discardableResult
    func wait(until deadline: ContinuousClock.Instant? = nil) async -> Bool {
        let (wait, mustWait) = state.withLock { state in
            state.wait += 1
            return (state.wait, !state.isRaised && !state.isClosed)
        }
        let isTime = deadline.map { $0 > .now } ?? true
        if mustWait, isTime, !Task.isCancelled {
            let earlier = state.withLock { state -> Task<Void, Never>? in
                defer { state.timer = nil }
                return state.timer
            }
            earlier?.cancel()
            await earlier?.value
            let timer = deadline.map { deadline in
                Task { [weak self] in
                    try? await Task.sleep(until: deadline, clock: .continuous)
                    self?.expire(wait)
                }
            }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isLate = state.withLock { state in
                        if state.isRaised || state.wait != wait || Task.isCancelled { return true }
                        state.waiter = continuation
                        return false
                    }
                    if isLate { continuation.resume() }
                }
            } onCancel: {
                expire(wait)
            }
            state.withLock { $0.timer = timer }
        }
        return state.withLock { state in
            defer { state.isRaised = false }
            return state.isRaised
        }
    }

    /// Ends the wait of that number, if it still goes on.
    private func expire(_ wait: UInt64) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.wait == wait else { return nil }
            // A timer that fires before the wait has begun must still end it.
            if state.waiter == nil { state.wait += 1 }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }
}
