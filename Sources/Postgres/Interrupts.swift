import CLibPQ
import Glibc
import Synchronization

/// Carries a task's cancellation to the thread that waits for the server, and from there to the server.
///
/// A scope is one `interruptible` call: a cancellation that comes late, for a scope that has ended,
/// must not hit the next statement.
final class Interrupts: Sendable {
    private struct State {
        var scope: UInt64 = 0
        var isOpen = false
        var requestedAt: ContinuousClock.Instant?
        var lastAsked: ContinuousClock.Instant?
        /// Requests on their way to the server.
        var asking = 0
    }

    /// A request that reached the server before the statement did was without effect, so it is repeated.
    static let askInterval: Duration = .milliseconds(400)
    /// Time for the server to stop. Where the network swallows the request nobody else would end the wait, and the
    /// caller may have to be gone before another may begin.
    private static let patience: Duration = .seconds(1)

    private let state = Mutex(State())
    private let thread: ConnectionThread

    init(thread: ConnectionThread) { self.thread = thread }

    func open() -> UInt64 {
        state.withLock { state in
            state = State(scope: state.scope + 1, isOpen: true, asking: state.asking)
            return state.scope
        }
    }

    func close() { state.withLock { $0.isOpen = false } }

    func request(_ scope: UInt64) {
        let matches = state.withLock { state in
            guard state.isOpen, state.scope == scope else { return false }
            state.requestedAt = .now
            return true
        }
        if matches { thread.wake() }
    }

    /// Whether what this scope does is to stop.
    var isRequested: Bool { state.withLock { $0.requestedAt != nil } }

    /// Whether the server has had its time to stop, and didn't.
    var isInVain: Bool {
        state.withLock { $0.requestedAt.map { $0 + Interrupts.patience <= .now } ?? false }
    }

    /// What follows in this scope (a ROLLBACK) must not be interrupted.
    func shield() {
        state.withLock { state in
            state.isOpen = false
            state.requestedAt = nil
        }
    }

    /// Whether a request is on its way to the server.
    var isAsking: Bool { state.withLock { $0.asking > 0 } }

    /// Asks the server to stop the running statement, where the task was cancelled.
    ///
    /// On a thread of its own: `PQcancel` connects anew, which can take long where packets vanish.
    func askServer(of handle: OpaquePointer) {
        let isDue = state.withLock { state in
            guard state.requestedAt != nil, state.asking == 0 else { return false }
            if let lastAsked = state.lastAsked, ContinuousClock.now - lastAsked < Interrupts.askInterval {
                return false
            }
            state.lastAsked = .now
            state.asking = 1
            return true
        }
        guard isDue else { return }
        guard let cancel = PQgetCancel(handle) else {
            askEnded()
            return
        }
        let request = Unmanaged.passRetained(CancelRequest(cancel, interrupts: self)).toOpaque()
        var thread = pthread_t()
        if pthread_create(&thread, nil, cancelThreadMain, request) == 0 {
            pthread_detach(thread)
        } else {
            Unmanaged<CancelRequest>.fromOpaque(request).release()
            askEnded()
        }
    }

    /// The server has the request, or it can't be reached.
    fileprivate func askEnded() {
        state.withLock { $0.asking = 0 }
        thread.wake()
    }
}

/// Owns a `PGcancel`.
private final class CancelRequest {
    private let handle: OpaquePointer
    private let interrupts: Interrupts

    init(_ handle: OpaquePointer, interrupts: Interrupts) {
        self.handle = handle
        self.interrupts = interrupts
    }

    deinit { PQfreeCancel(handle) }

    func send() {
        var message = [CChar](repeating: 0, count: 256)
        PQcancel(handle, &message, Int32(message.count))
        interrupts.askEnded()
    }
}

/// A free function, not a closure: C calls it on the new thread, where no isolation holds.
private func cancelThreadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<CancelRequest>.fromOpaque(argument).takeRetainedValue().send()
    return nil
}
