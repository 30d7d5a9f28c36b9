import Glibc
import Synchronization

/// Writes lines so that who logs doesn't wait for who reads: a reader that has stopped, such as a full pipe or a journald
/// that hangs, must not keep the threads that run jobs and heartbeats.
///
/// While there is room a line is written by who logs it, so that it is there even if the process traps right after. Where
/// there is none, lines gather, and a thread that may wait writes them in their order. Beyond twice a bound they are
/// dropped; who has the choice doesn't write beyond the bound. Should somebody else take the room in between, the line waits
/// after all.
final class LogWriter: Sendable {
    struct Line: Sendable {
        /// Bytes.
        let size: Int
        /// Writes it; may wait.
        let write: @Sendable () -> Void
    }

    private struct State {
        var waiting: [Line] = []
        /// What waits is written by a thread of its own.
        var hasThread = false
    }

    private let linesMax: Int
    private let hasRoom: @Sendable (Line) -> Bool
    private let state = Mutex(State())

    /// - Parameters:
    ///   - linesMax: Most lines that wait, but for vital ones.
    ///   - hasRoom: Whether a line can be written at once. Asked for one line at a time.
    init(linesMax: Int = 1000, hasRoom: @escaping @Sendable (Line) -> Bool) {
        self.linesMax = linesMax
        self.hasRoom = hasRoom
    }

    /// So many lines wait that only vital ones should follow.
    var isFull: Bool { state.withLock { $0.waiting.count >= linesMax } }

    func write(_ line: Line) {
        state.withLock { state in
            guard state.hasThread || !hasRoom(line) else { return line.write() }
            guard state.waiting.count < 2 * linesMax else { return }
            state.waiting.append(line)
            if state.hasThread { return }
            state.hasThread = startThread()
            // Late is better than never.
            if !state.hasThread { state.waiting.removeFirst().write() }
        }
    }

    /// Returns once nothing waits, or after so many milliseconds. For the end of the process, which has nothing else to do:
    /// joining a thread for a time (pthread_timedjoin_np) isn't offered to Swift.
    func flush(milliseconds: Int) {
        for _ in 0..<milliseconds where state.withLock({ $0.hasThread }) { usleep(1000) }
    }

    private func startThread() -> Bool {
        var thread = pthread_t()
        let writer = Unmanaged.passRetained(self)
        guard pthread_create(&thread, nil, logWriterMain, writer.toOpaque()) == 0 else {
            writer.release()
            return false
        }
        pthread_detach(thread)
        return true
    }

    fileprivate func writeUntilEmpty() {
        while let line = state.withLock({ state in state.waiting.first }) {
            line.write()
            // It counts until it is written.
            let isDone = state.withLock { state in
                state.waiting.removeFirst()
                if state.waiting.isEmpty { state.hasThread = false }
                return state.waiting.isEmpty
            }
            if isDone { return }
        }
    }
}

private func logWriterMain(_ writer: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let writer else { return nil }
    Unmanaged<LogWriter>.fromOpaque(writer).takeRetainedValue().writeUntilEmpty()
    return nil
}

/// Whether that many bytes can be written to this descriptor at once.
func hasRoom(for size: Int, in descriptor: Int32) -> Bool {
    var status = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    guard poll(&status, 1, 0) == 1 else { return false }
    // What fails does so at once.
    if Int32(status.revents) & (POLLERR | POLLHUP | POLLNVAL) != 0 || size <= 4096 { return true }
    // A pipe that is ready takes PIPE_BUF bytes, pipe(7), and may take no more.
    var file = stat()
    return fstat(descriptor, &file) == 0 && file.st_mode & S_IFMT != S_IFIFO
}
