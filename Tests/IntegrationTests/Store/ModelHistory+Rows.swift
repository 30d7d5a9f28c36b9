import JobWorker
import Postgres
import Support

/// The passing of time, and the comparison of the rows.
extension ModelHistory {
    func clock() async throws -> Double {
        try await database.value("SELECT extract(epoch FROM clock_timestamp())::float8 * 1000") ?? 0
    }

    /// Makes the rows as old as the model's.
    mutating func pass(_ time: Int) async throws {
        now += time
        let shift = try await clock() - Double(now) - offset
        offset += shift
        let seconds = shift / 1000
        try await database.query(
            """
            UPDATE public.jobs SET (created_at, scheduled_for, next_retry_at, started_at, completed_at, failed_at,
                worker_heartbeat_at, snoozed_since) = ROW (created_at + make_interval(secs => \(seconds)),
                scheduled_for + make_interval(secs => \(seconds)), next_retry_at + make_interval(secs => \(seconds)),
                started_at + make_interval(secs => \(seconds)), completed_at + make_interval(secs => \(seconds)),
                failed_at + make_interval(secs => \(seconds)),
                worker_heartbeat_at + make_interval(secs => \(seconds)),
                snoozed_since + make_interval(secs => \(seconds)))
            """)
    }

    // MARK: Comparing

    private static let tolerance = 40_000

    /// Columns in which the two differ.
    mutating func differences() async throws -> [String] {
        var found: [String] = []
        for (job, id) in ids.enumerated() {
            guard let expected = model[job] else { continue }
            let row = try await database.job(id)
            func compare<Value: Equatable>(_ column: String, _ real: Value, _ model: Value) {
                if real != model { found.append("job \(job) \(column): \(real), in the model \(model)") }
            }
            func compare(_ column: String, _ real: Timestamp?, _ model: Int?) {
                let time = real.map { Int(Double($0.microseconds) / 1000 - offset) }
                if let time, let model, abs(time - model) < ModelHistory.tolerance { return }
                if (time == nil) != (model == nil) || time != nil {
                    found.append("job \(job) \(column): \(time ?? -1), in the model \(model ?? -1)")
                }
            }
            compare("status", row.status, expected.status.rawValue)
            compare("attempts", row.attempts, expected.attempts)
            compare("worker_id", row.workerID, expected.workerID)
            compare("lease_open", row.leaseIsOpen, expected.leaseIsOpen)
            compare(
                "lease_token", claims.last { $0.claim.jobID == id && $0.claim.token == row.leaseToken }?.held.token,
                expected.leaseToken)
            compare("worker_deaths", row.workerDeaths, expected.workerDeaths)
            compare("scheduled_for", row.scheduledFor, expected.scheduledFor)
            compare("next_retry_at", row.nextRetryAt, expected.nextRetryAt)
            compare("started_at", row.startedAt, expected.startedAt)
            compare("completed_at", row.completedAt, expected.completedAt)
            compare("failed_at", row.failedAt, expected.failedAt)
            compare("worker_heartbeat_at", row.heartbeatAt, expected.heartbeatAt)
            compare("snoozed_since", row.snoozedSince, expected.snoozedSince)
        }
        if !found.isEmpty { steps += found }
        return found
    }
}
