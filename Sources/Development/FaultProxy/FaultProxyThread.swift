import Glibc
import Postgres
import Synchronization

/// The thread on which a proxy passes on what comes.
///
/// Everything it does with a connection it does under a lock, without waiting: so a change of mode from outside
/// takes effect between two moves.
final class FaultProxyThread: Sendable {
    private let state: Mutex<State>
    private let listeners: [Int32]
    private let serverPath: String
    /// What is written here ends the wait.
    private let wakeup: (reader: Int32, writer: Int32)

    init(listeners: [Int32], serverPath: String) {
        self.listeners = listeners
        self.serverPath = serverPath
        state = Mutex(State())
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let result = socketpair(AF_UNIX, kind, 0, &ends)
        precondition(result == 0, "socketpair: \(String(cString: strerror(errno)))")
        wakeup = (ends[0], ends[1])
    }

    deinit {
        close(wakeup.reader)
        close(wakeup.writer)
    }

    func start() {
        var thread = pthread_t()
        let result = pthread_create(&thread, nil, faultProxyMain, Unmanaged.passRetained(self).toOpaque())
        precondition(result == 0, "pthread_create: \(String(cString: strerror(result)))")
        pthread_detach(thread)
    }

    func withState<Value: Sendable>(_ change: (inout sending State) -> Value) -> Value {
        let value = state.withLock { change(&$0) }
        _ = write(wakeup.writer, "x", 1)
        return value
    }

    func stop() {
        withState { state in
            state.isStopped = true
            for id in state.links.keys { state.cut(id) }
            state.disarm()
        }
    }

    // MARK: On the thread

    fileprivate func run() {
        while true {
            let wait = state.withLock { $0.isStopped ? nil : plan(&$0) }
            guard let wait else { break }
            var descriptors = wait.descriptors
            poll(&descriptors, nfds_t(descriptors.count), wait.timeout)
            var wakeups = [UInt8](repeating: 0, count: 256)
            _ = read(wakeup.reader, &wakeups, wakeups.count)
            state.withLock { state in
                guard !state.isStopped else { return }
                accept(&state)
                for id in state.links.keys { move(id, &state) }
            }
        }
        for listener in listeners { close(listener) }
    }

    /// What to wait for. Nothing that stalls: its descriptor would be ready all the time.
    private func plan(_ state: inout State) -> (descriptors: [pollfd], timeout: Int32) {
        var descriptors = [pollfd(fd: wakeup.reader, events: Int16(POLLIN), revents: 0)]
        if !state.mode.stalls(.both) {
            descriptors += listeners.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        }
        let now = ContinuousClock.now
        var next: ContinuousClock.Instant?
        func add(_ descriptor: Int32, reads: Bool, writes pipe: FaultProxyLink.Pipe, stalls: Bool) {
            var events: Int32 = reads ? POLLIN : 0
            if !stalls, let due = pipe.nextDue {
                if due <= now { events |= POLLOUT } else { next = min(next ?? due, due) }
            }
            if events != 0 { descriptors.append(pollfd(fd: descriptor, events: Int16(events), revents: 0)) }
        }
        for link in state.links.values {
            let mode = state.mode(of: link)
            let (stallsUp, stallsDown) = (mode.stalls(.toServer), mode.stalls(.toClient))
            add(link.client, reads: link.toServer.mayRead && !stallsUp, writes: link.toClient, stalls: stallsDown)
            add(link.server, reads: link.toClient.mayRead && !stallsDown, writes: link.toServer, stalls: stallsUp)
        }
        let timeout = next.map { Int32(clamping: ($0 - now).milliseconds + 1) } ?? -1
        return (descriptors, timeout)
    }

    private func accept(_ state: inout State) {
        if state.mode.stalls(.both) { return }
        for listener in listeners {
            while let client = StreamSocket.accept(listener) {
                state.attempts += 1
                if case .refuse = state.mode {
                    StreamSocket.reset(client)
                } else if let server = StreamSocket.connect(unix: serverPath) {
                    state.links[state.attempts] = FaultProxyLink(client: client, server: server)
                } else {
                    StreamSocket.reset(client)
                }
            }
        }
    }

    private func move(_ id: Int, _ state: inout State) {
        guard let link = state.links[id] else { return }
        let mode = state.mode(of: link)
        let now = ContinuousClock.now
        if !mode.stalls(.toServer) {
            if link.toServer.mayRead {
                if let bytes = FaultProxyLink.read(link.client, into: &state.buffer) {
                    link.clientMessages.append(bytes)
                } else {
                    link.toServer.hasEnded = true
                }
            }
            while let message = link.clientMessages.next() {
                if message.asksForEncryption { link.serverMessages.bareBytes += 1 }
                if let statement = message.statement, !strike(statement, link, &state) {
                    // Cut here, and perhaps all the others with it.
                    return state.cut(id)
                }
                link.toServer.append(message.bytes[...], dueAt: now + mode.delay)
            }
            if !link.toServer.write(to: link.server, now: now) { link.toServer.hasEnded = true }
            if link.toServer.hasEnded, link.toServer.isEmpty { return state.cut(id, resetting: false) }
        }
        if !mode.stalls(.toClient) {
            if link.toClient.mayRead {
                if let bytes = FaultProxyLink.read(link.server, into: &state.buffer) {
                    let isReady = link.serverMessages.isReady(after: bytes)
                    if link.serverMessages.isOpaque { link.clientMessages.becomeOpaque() }
                    if link.dropsReply, isReady { return finish(id, &state) }
                    if !link.dropsReply { link.toClient.append(bytes, dueAt: now + mode.delay) }
                } else {
                    link.toClient.hasEnded = true
                }
            }
            if !link.toClient.write(to: link.client, now: now) { link.toClient.hasEnded = true }
            if link.toClient.hasEnded, link.toClient.isEmpty { state.cut(id, resetting: false) }
        }
    }

    /// Looks whether a rule is about this statement.
    /// - Returns: Whether the statement may pass.
    private func strike(_ statement: String, _ link: FaultProxyLink, _ state: inout State) -> Bool {
        state.statements[Statement.name(of: statement), default: 0] += 1
        guard let place = state.rules.firstIndex(where: { statement.contains($0.rule.text) }) else { return true }
        guard state.rules[place].rule.skipped == 0 else {
            state.rules[place].rule.skipped -= 1
            return true
        }
        let (rule, hit) = state.rules[place]
        state.rules[place].rule.times -= 1
        switch rule.action {
        case .dropReply:
            link.pendingHit = (rule, hit)
        case .closeBefore: carryOut(rule, hit, &state)
        }
        if state.rules[place].rule.times == 0 { state.rules.remove(at: place) }
        return rule.action == .dropReply
    }

    /// The answer that nobody gets is complete.
    private func finish(_ id: Int, _ state: inout State) {
        let pending = state.links[id]?.pendingHit
        state.cut(id)
        if let (rule, hit) = pending { carryOut(rule, hit, &state) }
    }

    private func carryOut(
        _ rule: FaultProxy.Rule, _ hit: AsyncStream<Void>.Continuation, _ state: inout State
    ) {
        if let mode = rule.afterwards {
            state.mode = mode
            for id in state.links.keys { state.cut(id) }
        }
        hit.yield()
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}

/// A free function, not a closure: C calls it on the new thread, where no isolation holds.
private func faultProxyMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<FaultProxyThread>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
