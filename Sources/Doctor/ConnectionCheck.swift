import Glibc
import JobWorker
import Postgres
import Settings

/// What lies between this machine and the database: notifications, clocks.
enum ConnectionCheck {
    private static let offsetMax = Duration.seconds(5)
    private static let patience = Duration.seconds(3)

    /// Sends a notification through the connection for statements and waits for it on the one for LISTEN.
    /// - Returns: How long it took; `nil` if it didn't come.
    static func wakeup(_ store: JobStore, listening settings: ConnectionSettings) async throws(PostgresError)
        -> Duration?
    {
        let channel = "jobworker_doctor_\(String(UInt64.random(in: .min ... .max), radix: 36))"
        let connection = try await Connection.open(settings)
        let duration: Duration?
        do throws(PostgresError) {
            duration = try await wakeup(store, connection, channel)
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
        return duration
    }

    private static func wakeup(
        _ store: JobStore, _ connection: Connection, _ channel: String
    ) async throws(PostgresError) -> Duration? {
        try await connection.runScript("/* jobworker:doctor.listen */ LISTEN \"\(channel)\"", timeout: .seconds(10))
        let start = ContinuousClock.now
        try await store.notify(channel)
        let deadline = start + patience
        while ContinuousClock.now < deadline {
            let arrived = try await connection.notifications(timeout: deadline - .now)
            if arrived.contains(where: { $0.channel == channel }) { return ContinuousClock.now - start }
        }
        return nil
    }

    static func finding(wakeup: Duration?) -> Finding {
        guard let wakeup else {
            return .warn(
                "wake-ups",
                "a notification didn't arrive within \(patience.components.seconds) s: jobs wait for the next poll",
                advice:
                    "A pooler of transactions swallows them, or WORKER_LISTEN_URL names another database: set it to "
                    + "a direct connection.")
        }
        let (seconds, attoseconds) = wakeup.components
        return .ok(
            "wake-ups", "a notification arrived after \(seconds * 1000 + attoseconds / 1_000_000_000_000_000) ms")
    }

    /// How far the database's clock is ahead of this machine's, and how far off that may be.
    static func clockOffset(_ store: JobStore) async throws(PostgresError) -> (offset: Duration, error: Duration) {
        // Once in vain: a new connection takes its time.
        _ = try await store.now()
        let before = wallClock
        let there = try await store.now()
        let after = wallClock
        let half = after.duration(since: before) / 2
        return (there.duration(since: before.advanced(by: half)), half)
    }

    static func finding(clockOffset: Duration, error: Duration) -> Finding {
        let size = clockOffset < .zero ? .zero - clockOffset : clockOffset
        guard size - error > offsetMax else { return .ok("clock", "the same as the database's") }
        return .warn(
            "clock",
            "\(size.components.seconds) s \(clockOffset < .zero ? "ahead of" : "behind") the database's: jobs run by the "
                + "database's clock, but tokens expire and logs are dated by this one",
            advice: "Set both by NTP: timedatectl set-ntp true.")
    }

    private static var wallClock: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }
}
