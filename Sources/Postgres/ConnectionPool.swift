import Synchronization

/// A few sessions shared by many tasks, first come, first served.
///
/// Sessions are opened when needed and never more than `limit`. One that broke is dropped; the call that
/// saw it break gets the error, as only the caller knows whether to repeat.
public final class ConnectionPool: Sendable {
    private struct State {
        var idle: [Connection] = []
        var openCount = 0
        var waiters: [(id: Int, continuation: CheckedContinuation<Connection?, any Error>)] = []
        var nextWaiter = 0
        var isClosed = false
        var lastUse = ContinuousClock.now
    }

    private enum Turn {
        case connection(Connection)
        case mayOpen
        case mustWait
        case closed
    }

    public let settings: ConnectionSettings
    public let limit: Int
    private let state = Mutex(State())
    /// Where this is a view of another pool: that pool, and what begins each transaction.
    private let base: (pool: ConnectionPool, preamble: [Statement])?

    public init(_ settings: ConnectionSettings, limit: Int) {
        precondition(limit >= 1, "a pool holds at least one connection")
        self.settings = settings
        self.limit = limit
        base = nil
    }

    private init(_ pool: ConnectionPool, preamble: [Statement]) {
        settings = pool.settings
        limit = pool.limit
        base = (pool, preamble)
    }

    /// The same sessions, where each statement and each transaction begins with these statements, in one transaction
    /// with them: what they set with `SET LOCAL` holds for it alone. Nothing runs without them.
    public func beginning(with preamble: [Statement]) -> ConnectionPool {
        ConnectionPool(base?.pool ?? self, preamble: (base?.preamble ?? []) + preamble)
    }

    /// Sessions open now, in use or idle.
    public var openCount: Int { state.withLock { $0.openCount } }

    /// Calls that wait for a session now.
    public var waitingCount: Int { state.withLock { $0.waiters.count } }

    /// Runs one statement on a session of the pool.
    @discardableResult
    public func query(_ statement: Statement) async throws(PostgresError) -> Rows {
        if base != nil {
            do {
                return try await transaction { try $0.execute(statement) }
            } catch let error as PostgresError {
                throw error
            } catch {
                throw PostgresError(.cancelled, operation: statement.name, message: "cancelled")
            }
        }
        let connection = try await borrow(for: statement.name)
        do throws(PostgresError) {
            let rows = try await connection.query(statement)
            // It has just answered: to ask whether it is open would be one more change of threads.
            await giveBack(connection, isOpen: true)
            return rows
        } catch {
            await giveBack(connection)
            throw error
        }
    }

    /// Runs `body` in one transaction; see `Connection.transaction`.
    public func transaction<Value: Sendable>(
        _ body: @Sendable (isolated Connection) throws -> Value
    ) async throws -> Value {
        guard let base else { return try await withConnection { try await $0.transaction(body) } }
        return try await base.pool.transaction { connection in
            for statement in base.preamble { try connection.execute(statement) }
            return try body(connection)
        }
    }

    /// Lends a session for the time of `body`.
    public func withConnection<Value: Sendable>(
        _ body: (Connection) async throws -> Value
    ) async throws -> Value {
        precondition(base == nil, "what begins a transaction can't be made to begin whatever a session does")
        let connection = try await borrow(for: "borrow a connection")
        do {
            let value = try await body(connection)
            await giveBack(connection)
            return value
        } catch {
            await giveBack(connection)
            throw error
        }
    }

    /// Closes the sessions nobody uses if none has been used for this long.
    public func closeIdle(unusedFor time: Duration) async {
        let isIdle = state.withLock { $0.openCount == $0.idle.count && $0.lastUse + time <= .now }
        if isIdle { await closeIdle() }
    }

    /// Closes the sessions nobody uses; they open again on demand.
    public func closeIdle() async {
        let idle = state.withLock { state in
            defer {
                state.openCount -= state.idle.count
                state.idle = []
            }
            return state.idle
        }
        for connection in idle { await connection.close() }
    }

    /// Closes the pool: waiting and later calls fail, sessions in use are closed when given back.
    public func close() async {
        let waiters = state.withLock { state in
            state.isClosed = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(throwing: closedError) }
        await closeIdle()
    }

    private var closedError: PostgresError {
        PostgresError(.unreachable, operation: "borrow a connection", message: "the connection pool is closed")
    }

    private func borrow(for operation: String) async throws(PostgresError) -> Connection {
        if Task.isCancelled { throw PostgresError(.cancelled, operation: operation, message: "cancelled") }
        let turn = state.withLock { state -> Turn in
            if state.isClosed { return .closed }
            if let connection = state.idle.popLast() { return .connection(connection) }
            guard state.openCount < limit else { return .mustWait }
            state.openCount += 1
            return .mayOpen
        }
        switch turn {
        case .connection(let connection): return connection
        case .closed: throw closedError
        case .mayOpen: return try await open()
        case .mustWait:
            let handed: Connection?
            do {
                handed = try await wait()
            } catch let error as PostgresError {
                throw error
            } catch {
                throw PostgresError(.cancelled, operation: operation, message: "cancelled")
            }
            if let handed { return handed }
            return try await open()
        }
    }

    /// Opens a session for the place already counted; gives the place on if that fails.
    private func open() async throws(PostgresError) -> Connection {
        do throws(PostgresError) {
            return try await Connection.open(settings)
        } catch {
            freePlace()
            throw error
        }
    }

    /// - Returns: A session, or `nil` for the right to open one.
    private func wait() async throws -> Connection? {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                enum Step { case wait, take(Connection), open, fail }
                let step = state.withLock { state -> Step in
                    if state.isClosed || Task.isCancelled { return .fail }
                    if let connection = state.idle.popLast() { return .take(connection) }
                    if state.openCount < limit {
                        state.openCount += 1
                        return .open
                    }
                    state.waiters.append((id, continuation))
                    return .wait
                }
                switch step {
                case .wait: break
                case .take(let connection): continuation.resume(returning: connection)
                case .open: continuation.resume(returning: nil)
                case .fail: continuation.resume(throwing: CancellationError())
                }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
            }
            waiter?.continuation.resume(throwing: CancellationError())
        }
    }

    private func giveBack(_ connection: Connection) async {
        await giveBack(connection, isOpen: await connection.isOpen)
    }

    private func giveBack(_ connection: Connection, isOpen: Bool) async {
        guard isOpen else {
            freePlace()
            return
        }
        let (waiter, mustClose) = state.withLock { state in
            state.lastUse = .now
            if state.isClosed {
                state.openCount -= 1
                return (nil as CheckedContinuation<Connection?, any Error>?, true)
            }
            if state.waiters.isEmpty {
                state.idle.append(connection)
                return (nil, false)
            }
            return (state.waiters.removeFirst().continuation, false)
        }
        waiter?.resume(returning: connection)
        if mustClose { await connection.close() }
    }

    private func freePlace() {
        let waiter = state.withLock { state -> CheckedContinuation<Connection?, any Error>? in
            guard !state.waiters.isEmpty else {
                state.openCount -= 1
                return nil
            }
            return state.waiters.removeFirst().continuation
        }
        waiter?.resume(returning: nil)
    }
}
