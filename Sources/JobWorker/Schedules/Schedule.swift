package import Cron
package import FoundationEssentials
package import Postgres

/// What makes a job again and again.
package struct Schedule: Sendable, Hashable {
    /// What a tick does while an earlier job of the schedule hasn't ended.
    package enum Overlap: String, Sendable, CaseIterable {
        case allow, skip
    }

    /// What becomes of ticks at which no worker ran.
    package enum CatchUp: String, Sendable, CaseIterable {
        /// Nothing.
        case none
        /// One job, for the latest.
        case one
        /// A job for each, at most `ScheduleStep.catchUpMax`.
        case all
    }

    package let id: UUID
    package let workspaceID: UUID
    package let name: String
    package let jobType: String
    package let payload: JSONText
    package let queue: String
    package let priority: Int
    package let maxAttempts: Int
    package let timeoutSeconds: Int?
    package let cron: String?
    package let everySeconds: Int?
    package let timeZone: String
    package let overlap: Overlap
    package let catchUp: CatchUp
    package let isEnabled: Bool
    /// `nil`: not found out yet, or there is none.
    package let nextRunAt: Timestamp?
    /// The latest tick that made a job.
    package let lastRunAt: Timestamp?
    package let lastSkippedAt: Timestamp?
    package let lastError: String?
    package let createdAt: Timestamp
    package let updatedAt: Timestamp
    /// The database's clock when this was read.
    package let asOf: Timestamp

    static let columns = """
        id, workspace_id, name, job_type, payload, job_queue, priority, max_attempts, timeout_seconds, cron, every_seconds, \
        timezone, overlap, catch_up, enabled, next_run_at, last_run_at, last_skipped_at, last_error, created_at, updated_at, \
        clock_timestamp() AS as_of
        """

    package init(_ row: Row) throws(PostgresError) {
        id = try row.decode("id")
        workspaceID = try row.decode("workspace_id")
        name = try row.decode("name")
        jobType = try row.decode("job_type")
        payload = try row.decode("payload")
        queue = try row.decode("job_queue")
        priority = try row.decode("priority")
        maxAttempts = try row.decode("max_attempts")
        timeoutSeconds = try row.decodeIfPresent("timeout_seconds")
        cron = try row.decodeIfPresent("cron")
        everySeconds = try row.decodeIfPresent("every_seconds")
        timeZone = try row.decode("timezone")
        overlap = Overlap(rawValue: try row.decode("overlap")) ?? .skip
        catchUp = CatchUp(rawValue: try row.decode("catch_up")) ?? .one
        isEnabled = try row.decode("enabled")
        nextRunAt = try row.decodeIfPresent("next_run_at")
        lastRunAt = try row.decodeIfPresent("last_run_at")
        lastSkippedAt = try row.decodeIfPresent("last_skipped_at")
        lastError = try row.decodeIfPresent("last_error")
        createdAt = try row.decode("created_at")
        updatedAt = try row.decode("updated_at")
        asOf = try row.decode("as_of")
    }

    /// The next ticks, in order; empty where it is paused, can't be understood, or has a time out of reach.
    package func upcoming(_ count: Int, zones: ZoneDirectory = .system) -> [Timestamp] {
        guard isEnabled, count > 0,
            let recurrence = try? Recurrence(cron: cron, everySeconds: everySeconds, timeZone: timeZone, zones: zones)
        else { return [] }
        let start = nextRunAt.map { [Int($0.microseconds)] } ?? []
        guard start.allSatisfy(Recurrence.span.contains) else { return [] }
        let ticks = start + recurrence.upcoming(count - start.count, after: start.first ?? Int(asOf.microseconds))
        return ticks.map { Timestamp(microseconds: Int64($0)) }
    }
}

/// What a person wants to have different in a schedule; what is `nil` stays, or is the usual in a new one.
package struct ScheduleChanges: Sendable, Hashable {
    /// When it recurs: one replaces the other.
    package enum Pace: Sendable, Hashable {
        case cron(String)
        case every(Int)
    }

    package var jobType: String?
    package var payload: JSONText?
    package var queue: String?
    package var priority: Int?
    package var maxAttempts: Int?
    /// `.some(nil)`: the worker's usual.
    package var timeoutSeconds: Int??
    package var pace: Pace?
    package var timeZone: String?
    package var overlap: Schedule.Overlap?
    package var catchUp: Schedule.CatchUp?
    package var isEnabled: Bool?

    /// A larger payload belongs elsewhere: lists show many of them.
    package static let payloadBytesMax = 65_536
    package static let everySecondsMax = 31_622_400

    package init() {}

    package var isEmpty: Bool { self == ScheduleChanges() }

    /// Looks through what can be known without the database.
    /// - Throws: `ScheduleRefusal.invalid`.
    package func check(zones: ZoneDirectory = .system) throws(ScheduleRefusal) {
        if let payload, payload.text.utf8.count > ScheduleChanges.payloadBytesMax {
            throw .invalid(
                "the payload has more than \(ScheduleChanges.payloadBytesMax) bytes: store the data elsewhere and pass a reference"
            )
        }
        if case .every(let seconds) = pace, !(1...ScheduleChanges.everySecondsMax).contains(seconds) {
            throw .invalid("every_seconds must be from 1 to \(ScheduleChanges.everySecondsMax)")
        }
        do throws(CronError) {
            if let timeZone { _ = try zones.rules(of: timeZone) }
            if case .cron(let text) = pace { _ = try CronExpression(text) }
        } catch {
            throw .invalid(error.description)
        }
    }
}

/// Why a schedule could not be written as a person wished. Nothing was changed.
package enum ScheduleRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// A sentence that says what to write instead.
    case invalid(String)
    case notFound(String)
    /// There is one of that name.
    case exists(String)

    package var description: String {
        switch self {
        case .invalid(let sentence): sentence
        case .notFound(let which): "there is no schedule \(which)"
        case .exists(let name): "there is a schedule '\(name)' in this workspace already"
        }
    }
}
