import JobWorker
package import Postgres

/// Waits for wake-ups as a worker does, and tells which came.
package struct WaitingWorker: Sendable {
    package let connection: Connection
    private let database: TestDatabase
    private let channel: String

    package init(
        in database: TestDatabase, id: String = "waiting", queues: [String] = ["*"], jobTypes: [String]? = nil,
        lasting: Duration = .seconds(600), interval: Duration = .zero
    ) async throws {
        self.database = database
        channel = "jobworker_wake_\(id)"
        connection = try await Connection.open(database.settings)
        try await connection.runScript("LISTEN \"\(channel)\"; LISTEN jobworker_cancel")
        try await database.store().attend(
            Attention(
                workerID: id, channel: channel, queues: queues, jobTypes: jobTypes, lasting: lasting, interval: interval
            ))
    }

    /// What came until now: the queues of jobs that are due, with `later` those of jobs that become due, `cancel` for a
    /// cancelled run. May be asked once.
    package func heard() async throws -> [String] {
        let end = "end of test"
        try await database.run("NOTIFY \"\(channel)\", '\(end)'")
        var heard: [String] = []
        while heard.last != end {
            heard += try await connection.notifications(timeout: .seconds(30)).map { notification in
                if notification.channel == "jobworker_cancel" { return "cancel" }
                switch DueAnnouncement(payload: notification.payload) {
                case .lane(let queue, _, _), .job(_, let queue, _, _): return queue
                case .later(let queue, _, _): return "\(queue) later"
                case .unknown: return notification.payload
                }
            }
        }
        await connection.close()
        return heard.dropLast()
    }
}
