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
    public init(_ settings: ConnectionSettings, channels: [String], roundTripInterval: Duration = .seconds(10)) {
        var settings = settings
        // A session that hangs is to be noticed soon; what it is asked for is quickly answered.
        settings.answerTimeout = min(settings.answerTimeout, .seconds(5))
        settings.connectTimeout = min(settings.connectTimeout, .seconds(5))
        self.settings = settings
        self.channels = channels
        self.roundTripInterval = roundTripInterval
    }

    /// Listens until the task is cancelled; connects anew after each loss.
    public func run(_ handle: @Sendable (Event) async -> Void) async {
        var backoff = Backoff()
        while !Task.isCancelled {
            do throws(PostgresError) {
                let connection = try await Connection.open(settings)
                let list = channels.map { "LISTEN \"\($0)\"" }.joined(separator: "; ")
                do throws(PostgresError) {
                    try await connection.runScript("/* jobworker:listen */ " + list, timeout: .seconds(10))
                    backoff.reset()
                    await handle(.listening)
                    try await deliver(from: connection, to: handle)
                } catch {
                    await connection.close()
                    throw error
                }
            } catch {
                if error.reason == .cancelled || Task.isCancelled { return }
                await handle(.lost(error))
                try? await Task.sleep(for: backoff.next())
            }
        }
    }

    private func deliver(
        from connection: Connection, to handle: @Sendable (Event) async -> Void
    ) async throws(PostgresError) {
        let ownChannel = "jobworker_self"
        var awaitsOwn = false
        try await connection.runScript("LISTEN \"\(ownChannel)\"", timeout: .seconds(10))
        while true {
            let arrived = try await connection.notifications(timeout: roundTripInterval)
            for notification in arrived where notification.channel != ownChannel {
                await handle(.notification(notification))
            }
            if arrived.contains(where: { $0.channel == ownChannel }) { awaitsOwn = false }
            guard arrived.isEmpty else { continue }
            if awaitsOwn {
                // Behind a transaction pooler LISTEN succeeds and nothing ever comes.
                throw PostgresError(
                    .connectionLost, operation: "listen",
                    message: "notifications don't arrive on this connection; set WORKER_LISTEN_URL to a direct one")
            }
            _ = try await connection.query("/* jobworker:listen.self */ SELECT pg_notify(\(ownChannel), '')")
            awaitsOwn = true
        }
    }
}
