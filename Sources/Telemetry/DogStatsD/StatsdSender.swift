import Glibc
import Synchronization

/// Sends each change of a figure to a DogStatsD server, from a thread of its own.
///
/// Who counts only appends to a buffer. Datagrams are sent when they are full or a second old; what the server doesn't
/// take is dropped and counted, so that memory stays bounded whatever becomes of it.
public final class StatsdSender: Sendable {
    /// Something to tell of the way to the server; on the sender's thread.
    public enum Event: Sendable, Hashable {
        /// So many datagrams were not sent, or not taken.
        case dropped(Int)
        case lost(reason: String)
        case found
    }

    private struct State {
        var outbox: StatsdOutbox
        var isStopped = false
        var hasEnded = false
    }

    private let destination: StatsdDestination
    private let tags: [(String, String)]
    private let interval: Duration
    private let pause: Duration
    private let onEvent: @Sendable (Event) -> Void
    private let state: Mutex<State>
    /// A pipe: readable when the thread should look.
    private let wakeup: (reading: Int32, writing: Int32)

    /// Then its name is looked up again.
    private static let socketAgeMax = Duration.seconds(60)

    /// Starts the thread, which holds this object until `stop()`.
    /// - Parameters:
    ///   - tags: On every line, after the figure's own.
    ///   - interval: Longest wait of a line that came.
    ///   - pause: For so long the server is left alone after a failure.
    ///   - onEvent: Must not wait for anything.
    /// - Returns: `nil` where the process has no descriptor or no thread left.
    public static func start(
        to destination: StatsdDestination, tags: [(String, String)] = [], interval: Duration = .seconds(1),
        pause: Duration = .seconds(10), onEvent: @escaping @Sendable (Event) -> Void = { _ in }
    ) -> StatsdSender? {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        let wakeup = (reading: ends[0], writing: ends[1])
        let sender = StatsdSender(
            destination, tags: tags, interval: interval, pause: pause, wakeup: wakeup, onEvent: onEvent)
        let retained = Unmanaged.passRetained(sender)
        var thread = pthread_t()
        guard pthread_create(&thread, nil, statsdThreadMain, retained.toOpaque()) == 0 else {
            retained.release()
            return nil
        }
        pthread_detach(thread)
        return sender
    }

    private init(
        _ destination: StatsdDestination, tags: [(String, String)], interval: Duration, pause: Duration,
        wakeup: (reading: Int32, writing: Int32),
        onEvent: @escaping @Sendable (Event) -> Void
    ) {
        self.destination = destination
        self.tags = tags
        self.interval = interval
        self.pause = pause
        self.wakeup = wakeup
        self.onEvent = onEvent
        state = Mutex(State(outbox: StatsdOutbox(bytesMax: destination.bytesMax)))
    }

    deinit {
        close(wakeup.reading)
        close(wakeup.writing)
    }

    /// What a registry is to call for the changes of one series.
    public func observer(_ name: String, _ labels: [(String, String)]) -> MetricRegistry.Observer {
        let line = StatsdLine(name: name, tags: labels + tags)
        return { [self] change in add(line.text(change)) }
    }

    private func add(_ line: String) {
        let isNews = state.withLock { $0.outbox.add(line, now: .now) }
        if isNews { wake() }
    }

    /// Sends what has come until now, and ends the thread.
    ///
    /// - Parameter limit: Longest wait for that. The thread may be waiting for a name server, which nothing ends.
    public func stop(within limit: Duration = .seconds(1)) async {
        state.withLock { $0.isStopped = true }
        wake()
        let deadline = ContinuousClock.now + limit
        while !state.withLock({ $0.hasEnded }), ContinuousClock.now < deadline, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    private func wake() {
        // A pipe that is full is readable, which is all that matters.
        var byte: UInt8 = 1
        _ = write(wakeup.writing, &byte, 1)
    }

    // MARK: On the thread

    /// The way to the server, as the thread knows it.
    private struct Way {
        var descriptor: Int32 = -1
        var openedAt = ContinuousClock.now
        /// Which of the server's addresses to try.
        var turn = 0
        var hasCarried = false
        var isLost = false
        var pausedUntil = ContinuousClock.now
    }

    fileprivate func run() {
        var way = Way()
        while true {
            let now = ContinuousClock.now
            let isPaused = way.pausedUntil > now
            let (batch, dropped, begunAt, isStopped) = state.withLock {
                state -> ([[UInt8]], Int, ContinuousClock.Instant?, Bool) in
                guard !isPaused || state.isStopped else { return ([], 0, state.outbox.begunAt, false) }
                let (batch, dropped) = state.outbox.take(begunUntil: now - interval, all: state.isStopped)
                return (batch, dropped, state.outbox.begunAt, state.isStopped)
            }
            let lost = dropped + batch.count { !send($0, by: &way) }
            if lost > 0 { onEvent(.dropped(lost)) }
            if isStopped { break }
            if batch.isEmpty { wait(until: begunAt.map { max($0 + interval, way.pausedUntil) }) }
        }
        if way.descriptor >= 0 { close(way.descriptor) }
        state.withLock { $0.hasEnded = true }
    }

    private func wait(until moment: ContinuousClock.Instant?) {
        let milliseconds = moment.map { max(0, ($0 - .now) / .milliseconds(1)).rounded(.up) } ?? -1
        var descriptor = pollfd(fd: wakeup.reading, events: Int16(POLLIN), revents: 0)
        _ = poll(&descriptor, 1, Int32(milliseconds))
        var bytes = [UInt8](repeating: 0, count: 256)
        while read(wakeup.reading, &bytes, bytes.count) == bytes.count {}
    }

    /// - Returns: Whether the system took it.
    private func send(_ datagram: [UInt8], by way: inout Way) -> Bool {
        // The rest of a batch whose first datagram found nobody.
        guard way.pausedUntil <= .now || !way.isLost || way.descriptor >= 0 else { return false }
        if way.descriptor >= 0, way.openedAt + StatsdSender.socketAgeMax < .now { shut(&way) }
        // A server that was started anew needs a new socket: hence twice.
        for _ in 0..<2 {
            if way.descriptor < 0 {
                do throws(StatsdFailure) {
                    way.descriptor = try destination.open(turn: way.turn)
                    way.openedAt = .now
                } catch {
                    lose(&way, reason: error.reason)
                    return false
                }
            }
            let sent = Glibc.send(
                way.descriptor, datagram, datagram.count, Int32(truncatingIfNeeded: MSG_DONTWAIT | MSG_NOSIGNAL))
            if sent >= 0 {
                // Over UDP only the next datagram tells what became of the one before.
                if way.isLost, way.hasCarried, way.openedAt + interval / 2 <= .now {
                    way.isLost = false
                    onEvent(.found)
                }
                way.hasCarried = true
                return true
            }
            let code = errno
            // The server doesn't keep up; that passes.
            if code == EAGAIN || code == ENOBUFS { return false }
            let hadCarried = way.hasCarried
            shut(&way)
            guard code == ECONNREFUSED, hadCarried else {
                lose(&way, reason: StatsdFailure(code: code).reason)
                return false
            }
            // Over UDP it speaks of an earlier one, which nobody took.
            if case .udp = destination { onEvent(.dropped(1)) }
            way.turn += 1
            lose(&way, reason: StatsdFailure(code: code).reason)
        }
        return false
    }

    private func shut(_ way: inout Way) {
        close(way.descriptor)
        way.descriptor = -1
        way.hasCarried = false
    }

    private func lose(_ way: inout Way, reason: String) {
        way.pausedUntil = .now + pause
        guard !way.isLost else { return }
        way.isLost = true
        onEvent(.lost(reason: reason))
    }
}

/// A free function, not a closure: C calls it on the new thread, where no isolation holds.
private func statsdThreadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<StatsdSender>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
