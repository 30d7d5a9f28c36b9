import CLibPQ
import Glibc
import Synchronization

/// One session with the database, on a thread of its own.
///
/// Statements run one after another. When the calling task is cancelled, the server is asked to stop
/// the running statement and the call ends with `.cancelled`.
public actor Connection {
    private let thread: ConnectionThread
    private let settings: ConnectionSettings
    private let interrupts: Interrupts
    /// `nil` once closed or lost.
    private var handle: OpaquePointer?
    private var prepared: [String: PreparedStatement] = [:]
    /// Whether statements are kept prepared; not behind a pooler that changes the server's session under us.
    private var keepsPrepared = true
    private var isInTransaction = false

    /// Statements kept prepared; those beyond are planned each time.
    private static let preparedLimit = 200

    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    private init(settings: ConnectionSettings, thread: ConnectionThread) {
        self.settings = settings
        self.thread = thread
        interrupts = Interrupts(thread: thread)
    }

    isolated deinit {
        if let handle { PQfinish(handle) }
        thread.stop()
    }

    /// Connects, and sets the session up.
    /// - Throws: `PostgresError`: `.unreachable`, or `.rejected` where the server refused.
    public static func open(_ settings: ConnectionSettings) async throws(PostgresError) -> Connection {
        let connection = Connection(settings: settings, thread: try ConnectionThread.start())
        try await connection.begin()
        return connection
    }

    /// Whether the session can still be used.
    public var isOpen: Bool { handle.map { PQstatus($0) == CONNECTION_OK } ?? false }

    /// The server's process for this session, as in `pg_stat_activity.pid`.
    public var serverProcess: Int { handle.map { Int(PQbackendPID($0)) } ?? 0 }

    /// Ends the session. Harmless when it has ended already.
    public func close() {
        if let handle { PQfinish(handle) }
        handle = nil
        prepared = [:]
    }

    /// Runs one statement.
    public func query(_ statement: Statement) async throws(PostgresError) -> Rows {
        let result = await interruptible { () -> Result<Rows, PostgresError> in
            do throws(PostgresError) { return .success(try self.execute(statement)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// Runs several statements of plain SQL in one go, without parameters; answers are dropped.
    ///
    /// Outside of `transaction` PostgreSQL makes one transaction of them:
    /// https://www.postgresql.org/docs/15/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT
    public func runScript(_ sql: String, timeout: Duration = .seconds(3600)) async throws(PostgresError) {
        let result = await interruptible { () -> Result<Void, PostgresError> in
            do throws(PostgresError) {
                return .success(try self.executeScript(sql, timeout: timeout))
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// Runs `body` between BEGIN and COMMIT, or ROLLBACK if it throws.
    ///
    /// `body` runs on the connection's thread and calls `execute`. After `.connectionLost` out of the
    /// COMMIT itself it is unknown whether the transaction took effect.
    public func transaction<Value: Sendable>(
        _ body: @Sendable (isolated Connection) throws -> Value
    ) async throws -> Value {
        let result = await interruptible { () -> Result<Value, any Error> in
            do {
                try self.execute("BEGIN")
                self.isInTransaction = true
                defer { self.isInTransaction = false }
                do {
                    let value = try body(self)
                    try self.execute("COMMIT")
                    return .success(value)
                } catch {
                    self.rollBack()
                    throw error
                }
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// Runs one statement without suspending; for use inside `transaction`.
    @discardableResult
    public func execute(_ statement: Statement) throws(PostgresError) -> Rows {
        do throws(PostgresError) {
            return try executeOnce(statement)
        } catch {
            switch error.sqlState {
            case "0A000" where !isInTransaction:
                // The plan no longer fits the tables.
                if let stale = prepared.removeValue(forKey: statement.sql) {
                    try executeScript("DEALLOCATE \"\(stale.name)\"", timeout: settings.answerTimeout)
                }
            case "26000" where !isInTransaction:
                // Not there, although we prepared it: a pooler of transactions gave us another session.
                prepared = [:]
                keepsPrepared = false
            default: throw error
            }
            return try executeOnce(statement)
        }
    }

    /// Waits for notifications on the channels this session listens to.
    ///
    /// - Returns: What has come, in order; empty when `timeout` passed first.
    /// - Throws: `.connectionLost` when the session ended, `.cancelled` when the task was.
    public func notifications(timeout: Duration) async throws(PostgresError) -> [Notification] {
        let result = await interruptible { () -> Result<[Notification], PostgresError> in
            do throws(PostgresError) {
                return .success(try self.waitForNotifications(timeout: timeout))
            } catch { return .failure(error) }
        }
        return try result.get()
    }
}

// MARK: - On the connection's thread

extension Connection {
    private func begin() async throws(PostgresError) {
        let result = await interruptible { () -> Result<Void, PostgresError> in
            do throws(PostgresError) { return .success(try self.connect()) } catch { return .failure(error) }
        }
        try result.get()
    }

    private func connect() throws(PostgresError) {
        let parameters = settings.parameters
        var keywords: [UnsafePointer<CChar>?] = parameters.map { UnsafePointer(strdup($0.keyword)) } + [nil]
        var values: [UnsafePointer<CChar>?] = parameters.map { UnsafePointer(strdup($0.value)) } + [nil]
        defer { for pointer in keywords + values { free(UnsafeMutablePointer(mutating: pointer)) } }
        guard let handle = PQconnectStartParams(&keywords, &values, 1) else {
            throw PostgresError(.unreachable, operation: "connect", message: "out of memory")
        }
        self.handle = handle
        PQsetNoticeProcessor(handle, ignoreNotice, nil)
        // The only way to learn with which SQLSTATE a connection is refused.
        PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
        let deadline = ContinuousClock.now + settings.connectTimeout
        var wanted = PGRES_POLLING_WRITING
        while wanted != PGRES_POLLING_OK {
            guard wanted != PGRES_POLLING_FAILED, PQstatus(handle) != CONNECTION_BAD else {
                throw unreachable(String(cString: PQerrorMessage(handle)).trimmed)
            }
            let events = Int16(wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT)
            guard try waitForSocket(events, until: deadline, operation: "connect") else {
                throw unreachable("no answer within \(settings.connectTimeout)")
            }
            wanted = PQconnectPoll(handle)
        }
        PQsetErrorVerbosity(handle, PQERRORS_DEFAULT)
        try executeScript("/* jobworker:session */ " + settings.sessionStatements, timeout: settings.answerTimeout)
    }

    private func unreachable(_ message: String) -> PostgresError {
        close()
        // Libpq quotes the part of the string that it can't read, which may be one of the password.
        let isAboutString = ["invalid ", "missing ", "unexpected ", "unterminated ", "forbidden ", "end of string "]
            .contains { message.hasPrefix($0) }
        // Some of these sentences are about what a server answered, and pass.
        let isLasting = [
            "invalid port number", "invalid integer value", "invalid connection option", "invalid URI",
            "invalid percent",
            "invalid sslmode value", "invalid channel_binding value", "invalid target_session_attrs value",
            "missing \"",
            "unexpected ", "unterminated ", "forbidden ", "end of string ",
        ].contains { message.hasPrefix($0) }
        let report = ConnectionReport(
            isAboutString
                ? "the connection string can't be read (in a URI's password, signs such as / : @ # need their %-code)"
                : message)
        return PostgresError(
            isLasting ? .malformed : .unreachable, operation: "connect", message: report.message,
            connectionRefusal: report.sqlState)
    }

    private func executeOnce(_ statement: Statement) throws(PostgresError) -> Rows {
        let operation = statement.name
        let handle = try openHandle(operation)
        let parameters = statement.parameters
        for case let text? in parameters.lazy.map(\.text) where text.utf8.contains(0) {
            // A C string would end there and the rest be lost without a word.
            throw PostgresError(
                .rejected(sqlState: "22021"), operation: operation, message: "text with a NUL character can't be stored"
            )
        }
        let name = try prepare(statement, operation: operation)
        try mayStillSend(operation)
        let values = parameters.map { $0.text.map { UnsafePointer(strdup($0)) } ?? nil }
        defer { for value in values { free(UnsafeMutablePointer(mutating: value)) } }
        let sent: Int32
        if let name {
            sent = PQsendQueryPrepared(handle, name, Int32(values.count), values, nil, nil, 0)
        } else {
            sent = PQsendQueryParams(
                handle, statement.sql, Int32(values.count), parameters.map(\.type), values, nil, nil, 0)
        }
        guard sent == 1 else { throw lost(operation) }
        return try readResults(operation, timeout: settings.answerTimeout)
    }

    /// The name under which the statement is prepared; `nil` when it is to be sent whole.
    private func prepare(_ statement: Statement, operation: String) throws(PostgresError) -> String? {
        // In a transaction a name that a pooler's other client has used, or that is not there, would end it all.
        guard keepsPrepared, !isInTransaction, !statement.parameters.isEmpty else { return nil }
        if let known = prepared[statement.sql] {
            // The same text with other types of values is another statement.
            return known.types.elementsEqual(statement.parameters.lazy.map(\.type)) ? known.name : nil
        }
        let wanted = PreparedStatement(statement)
        guard prepared.count < Connection.preparedLimit else { return nil }
        try mayStillSend(operation)
        let types = wanted.types
        guard PQsendPrepare(handle, wanted.name, statement.sql, Int32(types.count), types) == 1 else {
            throw lost(operation)
        }
        do throws(PostgresError) {
            _ = try readResults(operation, timeout: settings.answerTimeout)
        } catch {
            // There already, from another client of a pooler: the name says that it is the same.
            guard error.sqlState == "42P05" else { throw error }
        }
        prepared[statement.sql] = wanted
        return wanted.name
    }

    private func executeScript(_ sql: String, timeout: Duration) throws(PostgresError) {
        let operation = Statement.name(of: sql)
        let handle = try openHandle(operation)
        try mayStillSend(operation)
        guard PQsendQuery(handle, sql) == 1 else { throw lost(operation) }
        _ = try readResults(operation, timeout: timeout)
    }

    /// Ends the transaction, if one is open still.
    private func rollBack() {
        guard let handle, PQtransactionStatus(handle) != PQTRANS_IDLE else { return }
        do throws(PostgresError) {
            interrupts.shield()
            try executeScript("ROLLBACK", timeout: settings.answerTimeout)
        } catch {
            // A session whose transaction can't be ended must not be used again.
            close()
        }
    }

    /// Finds that the task was cancelled meanwhile, and waits for an earlier cancel request on its way to the
    /// server: it would hit what comes next.
    private func mayStillSend(_ operation: String) throws(PostgresError) {
        if interrupts.isRequested { throw PostgresError(.cancelled, operation: operation, message: "cancelled") }
        let deadline = ContinuousClock.now + .seconds(5)
        while interrupts.isAsking {
            let left = deadline - .now
            guard left > .zero else { throw lost(operation, "a request to cancel got no answer") }
            var descriptor = pollfd(fd: thread.wakeup, events: Int16(POLLIN), revents: 0)
            poll(&descriptor, 1, Int32(clamping: left.wholeMilliseconds + 1))
            thread.drainWakeups()
        }
    }

    private func openHandle(_ operation: String) throws(PostgresError) -> OpaquePointer {
        guard let handle else {
            throw PostgresError(.connectionLost, operation: operation, message: "the session has ended")
        }
        return handle
    }

    private func lost(_ operation: String, _ message: String? = nil) -> PostgresError {
        let text = message ?? handle.map { String(cString: PQerrorMessage($0)).trimmed } ?? "the session has ended"
        close()
        return PostgresError(.connectionLost, operation: operation, message: text)
    }

    /// Reads until the server is ready for the next statement.
    /// - Returns: The last answer; the first error wins over it.
    private func readResults(_ operation: String, timeout: Duration) throws(PostgresError) -> Rows {
        let handle = try openHandle(operation)
        let deadline = ContinuousClock.now + timeout
        var rows: Rows?
        var failure: PostgresError?
        while true {
            while PQisBusy(handle) == 1 || PQflush(handle) == 1 {
                let events = Int16(POLLIN | (PQflush(handle) == 1 ? POLLOUT : 0))
                guard try waitForSocket(events, until: deadline, operation: operation) else {
                    throw lost(operation, "no answer within \(timeout)")
                }
                guard PQconsumeInput(handle) == 1 else { throw lost(operation) }
            }
            guard let result = PQgetResult(handle) else { break }
            let answer = QueryResult(adopting: result)
            if let error = answer.error(operation: operation) {
                failure = failure ?? error
            } else {
                rows = answer.rows(operation: operation)
            }
        }
        if let failure {
            if failure.endsConnection || PQstatus(handle) != CONNECTION_OK { close() }
            if failure.sqlState == "57014", interrupts.isRequested {
                throw PostgresError(.cancelled, operation: operation, message: "cancelled")
            }
            throw failure
        }
        guard let rows else { throw lost(operation, "the server sent no answer") }
        return rows
    }

    /// - Returns: Whether the socket became ready before the deadline.
    private func waitForSocket(
        _ events: Int16, until deadline: ContinuousClock.Instant, operation: String
    ) throws(PostgresError) -> Bool {
        let handle = try openHandle(operation)
        while true {
            if PQstatus(handle) != CONNECTION_OK {
                // Not connected yet: there is no statement to stop.
                if interrupts.isRequested {
                    close()
                    throw PostgresError(.cancelled, operation: operation, message: "cancelled")
                }
            } else {
                interrupts.askServer(of: handle)
            }
            if interrupts.isInVain { throw lost(operation, "cancelled, but the server did not stop in time") }
            let left = deadline - .now
            guard left > .zero else { return false }
            let pause = interrupts.isRequested ? min(left, Interrupts.askInterval) : left
            var descriptors = [
                pollfd(fd: PQsocket(handle), events: events, revents: 0),
                pollfd(fd: thread.wakeup, events: Int16(POLLIN), revents: 0),
            ]
            let ready = poll(&descriptors, 2, Int32(clamping: pause.wholeMilliseconds + 1))
            if ready < 0, errno != EINTR { throw lost(operation, String(cString: strerror(errno))) }
            if descriptors[1].revents != 0 { thread.drainWakeups() }
            if descriptors[0].revents != 0 { return true }
        }
    }

    private func waitForNotifications(timeout: Duration) throws(PostgresError) -> [Notification] {
        let operation = "wait for notifications"
        let handle = try openHandle(operation)
        let deadline = ContinuousClock.now + timeout
        while true {
            if interrupts.isRequested {
                throw PostgresError(.cancelled, operation: operation, message: "cancelled")
            }
            guard PQconsumeInput(handle) == 1 else { throw lost(operation) }
            var arrived: [Notification] = []
            while let notify = PQnotifies(handle) {
                arrived.append(
                    Notification(
                        channel: String(cString: notify.pointee.relname), payload: String(cString: notify.pointee.extra)
                    ))
                PQfreemem(notify)
            }
            if !arrived.isEmpty { return arrived }
            let left = deadline - .now
            guard left > .zero else { return [] }
            var descriptors = [
                pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0),
                pollfd(fd: thread.wakeup, events: Int16(POLLIN), revents: 0),
            ]
            poll(&descriptors, 2, Int32(clamping: left.wholeMilliseconds + 1))
            if descriptors[1].revents != 0 { thread.drainWakeups() }
        }
    }

    /// Runs `body` such that a cancellation of the task interrupts its statements.
    private func interruptible<Value>(_ body: () -> Value) async -> Value {
        let scope = interrupts.open()
        return await withTaskCancellationHandler {
            defer { interrupts.close() }
            return body()
        } onCancel: { [interrupts] in
            interrupts.request(scope)
        }
    }
}

/// What came on a channel. Any role may notify: a hint, never a fact.
public struct Notification: Sendable, Hashable {
    public let channel: String
    public let payload: String
}

/// libpq would write notices to standard error.
private func ignoreNotice(_ argument: UnsafeMutableRawPointer?, _ message: UnsafePointer<CChar>?) {}
