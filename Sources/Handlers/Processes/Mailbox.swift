import CProcess
import Glibc
import Synchronization

/// What a program said and how it ended, on the way from the thread to the task that waits for it.
///
/// Bounded: where more waits than `bytesMax`, the thread stops reading until somebody has taken it.
final class Mailbox: Sendable {
    enum Stream: Sendable, Hashable {
        case output, error, channel
    }

    enum Item: Sendable {
        case line(Stream, LineSplitter.Line)
        case end(ProgramEnd)
    }

    static let bytesMax = 1 << 20

    private struct State {
        var items: [Item] = []
        var bytes = 0
        var waiter: CheckedContinuation<[Item], Never>?
        /// The thread has stopped reading, or is about to. Only `wasFull` takes it back: else the thread, still at what
        /// it read before, would forget that it waits.
        var isFull = false
        /// The program's end, once it was posted: told again to whoever asks after that.
        var end: ProgramEnd?
    }

    private let state = Mutex(State())

    /// - Returns: Whether more than enough waits now.
    func post(_ item: Item) -> Bool {
        let (waiter, items, isFull) = state.withLock { state -> (CheckedContinuation<[Item], Never>?, [Item], Bool) in
            state.items.append(item)
            switch item {
            case .line(_, let line): state.bytes += line.bytes.count + 64
            case .end(let end): state.end = end
            }
            guard let waiter = state.waiter else { return (nil, [], Self.isFull(&state)) }
            state.waiter = nil
            return (waiter, Self.take(&state), false)
        }
        waiter?.resume(returning: items)
        return isFull
    }

    /// What came since the last call; waits for something. For one reader; ends with the program, not with the task.
    /// Once the end was taken it comes again with each call.
    func next() async -> [Item] {
        await withCheckedContinuation { continuation in
            let items = state.withLock { state -> [Item]? in
                guard state.items.isEmpty, state.end == nil else { return Self.take(&state) }
                state.waiter = continuation
                return nil
            }
            if let items { continuation.resume(returning: items) }
        }
    }

    /// What came since the last call, without waiting; the end comes again, as with `next`.
    func waiting() -> [Item] { state.withLock { Self.take(&$0) } }

    private static func isFull(_ state: inout State) -> Bool {
        state.isFull = state.isFull || state.bytes > Mailbox.bytesMax
        return state.isFull
    }

    /// Whether the thread waits for what was taken; asked once.
    func wasFull() -> Bool {
        state.withLock { state in
            defer { state.isFull = false }
            return state.isFull
        }
    }

    private static func take(_ state: inout State) -> [Item] {
        defer {
            state.items = []
            state.bytes = 0
        }
        return state.items.isEmpty ? state.end.map { [.end($0)] } ?? [] : state.items
    }
}

/// How a program ended, and what is known of its last words.
struct ProgramEnd: Sendable {
    enum Status: Sendable, Hashable {
        case exited(Int32)
        case signalled(Int32)
        case notStarted(LaunchFailure)
        /// Somebody else in this process has waited for it.
        case unknown

        /// That of a child, which stays to be reaped; `nil` while it runs.
        static func of(child pid: pid_t) -> Status? {
            var (code, isSignal): (Int32, Int32) = (0, 0)
            switch cprocess_look(pid, &code, &isSignal) {
            case 0: return nil
            case 1: return isSignal == 0 ? .exited(code) : .signalled(code)
            default: return .unknown
            }
        }
    }

    var status: Status
    /// The last line of standard output that isn't empty, where only that is kept.
    var lastLine: LineSplitter.Line?
    /// The end of standard error, whole lines where possible.
    var errorTail: [UInt8] = []
    /// Lines of standard error that weren't handed on.
    var errorLinesLeftOut = 0
    /// Processes that it left behind, and that were ended.
    var leftBehind = 0
    /// Some of them are still there.
    var isUnclean = false
    /// It was told to end because it had rested for long, before the last of what was to be written to it came.
    var hadRested = false
}
