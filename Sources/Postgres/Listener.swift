/// A session that listens, kept alive for as long as `run` runs.
public struct Listener: Sendable {
    public enum Event: Sendable {
        /// Listening (again): what was sent before this is lost, so look once.
        case listening
        case notification(Notification)
        /// Not listening until the next `.listening`.
        case lost(PostgresError)
    }

    private let settings: ConnectionSettings
    private let channels: [String]
    private let roundTripInterval: Duration

    /// - Parameters:
    ///   - channels: Names the program itself chose; they become part of the SQL.
    ///   - roundTripInterval: Silence after which the session is tried with a notification to itself.
    public init(_ settings: ConnectionSettings, channels: [String], roundTripInterval: Duration = .seconds(8)) {
        var settings = settings
        // A session that hangs is to be noticed soon; what it is asked for is quickly answered.
        settings.answerTimeout = min(settings.answerTimeout, .seconds(5))
        settings.connectTimeout = min(settings.connectTimeout, .seconds(5))
        self.settings = settings
        self.channels = channels
        self.roundTripInterval = roundTripInterval
    }

    /// Listens until the task is cancelled; connects anew after each loss.
    /// - Parameter handle: Told of notifications on the session's own thread, so that what needs no other one is done
    ///   without a change of threads.
    public func run(_ handle: nonisolated(nonsending) @Sendable (Event) async -> Void) async {
        var backoff = Backoff()
        while !Task.isCancelled {
            do throws(PostgresError) {
                let connection = try await Connection.open(settings)
                let list = (channels + [Listener.ownChannel]).map { "LISTEN \"\($0)\"" }.joined(separator: "; ")
                do throws(PostgresError) {
                    try await connection.runScript("/* jobworker:listen */ " + list, timeout: .seconds(10))
                    let isPooled = try await isPooled(connection)
                    if isPooled { try await prove(connection) }
                    backoff.reset()
                    await handle(.listening)
                    try await deliver(from: connection, isPooled: isPooled, to: handle)
                } catch {
                    await connection.close()
                    throw error
                }
            } catch {
                if error.reason == .cancelled || Task.isCancelled { return }
                await handle(.lost(error))
                // Trying again soon changes nothing where it is the pooler that swallows notifications.
                let pause = error.operation == Listener.deaf ? Listener.pauseWhenDeaf : backoff.next()
                try? await Task.sleep(for: pause)
            }
        }
    }

    private static let ownChannel = "jobworker_self"
    private static let deaf = "listen"
    private static let pauseWhenDeaf = Duration.seconds(60)

    /// Whether somebody stands between: it invents the process number that a client is told at the start.
    private func isPooled(_ connection: Connection) async throws(PostgresError) -> Bool {
        let rows = try await connection.query("/* jobworker:listen.process */ SELECT pg_backend_pid() AS pid")
        let told = await connection.serverProcess
        return try rows.first?.decode("pid", as: Int.self) != told
    }

    /// Makes sure that notifications get through a pooler: in its transaction mode LISTEN succeeds and nothing comes.
    private func prove(_ connection: Connection) async throws(PostgresError) {
        try await notifySelf(connection, isPooled: true)
        let deadline = ContinuousClock.now + settings.answerTimeout
        while ContinuousClock.now < deadline {
            let arrived = try await connection.notifications(timeout: deadline - .now)
            if arrived.contains(where: { $0.channel == Listener.ownChannel }) { return }
        }
        throw deafness
    }

    private var deafness: PostgresError {
        PostgresError(
            .connectionLost, operation: Listener.deaf,
            message: "notifications don't arrive on this connection; set WORKER_LISTEN_URL to a direct one")
    }

    /// Through a pooler from another session: the answer of one's own may bring it along although nobody listens.
    private func notifySelf(_ connection: Connection, isPooled: Bool) async throws(PostgresError) {
        let statement: Statement = "/* jobworker:listen.self */ SELECT pg_notify(\(Listener.ownChannel), '')"
        guard isPooled else {
            _ = try await connection.query(statement)
            return
        }
        let other = try await Connection.open(settings)
        do throws(PostgresError) { _ = try await other.query(statement) } catch {
            await other.close()
            throw error
        }
        await other.close()
    }

    private func deliver(
        from connection: isolated Connection, isPooled: Bool,
        to handle: nonisolated(nonsending) @Sendable (Event) async -> Void
    ) async throws(PostgresError) {
        var awaitsOwn = false
        while true {
            let arrived = try await connection.notifications(timeout: roundTripInterval)
            for notification in arrived where notification.channel != Listener.ownChannel {
                await handle(.notification(notification))
            }
            if arrived.contains(where: { $0.channel == Listener.ownChannel }) { awaitsOwn = false }
            guard arrived.isEmpty else { continue }
            if awaitsOwn { throw deafness }
            try await notifySelf(connection, isPooled: isPooled)
            awaitsOwn = true
        }
    }
}
