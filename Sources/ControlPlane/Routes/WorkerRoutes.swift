import HTTPTypes
import HummingbirdCore
package import JobWorker
import Postgres

/// Makes the worker look at the queue, for those whose jobs can't wait for the next poll.
package struct WorkerRoutes<Worker: WorkerControl>: Sendable {
    private let worker: Worker

    private static var waitMillisecondsDefault: Int { 25_000 }
    private static var waitMillisecondsMax: Int { 60_000 }

    package init(worker: Worker) { self.worker = worker }

    package var routes: [Route] {
        [
            Route(
                .post, "/api/jobs/worker", access: .operators,
                "Polls now and waits up to wait_ms for the jobs it claimed and those that ran already.",
                handler: poll)
        ]
    }

    private func poll(_ request: APIRequest) async throws -> Response {
        let wait = try request.number("wait_ms", in: 0...Self.waitMillisecondsMax) ?? Self.waitMillisecondsDefault
        let began = ContinuousClock.now
        let report = await worker.pollNow(waitingAtMost: .milliseconds(wait))
        if let refusal = report.refusal {
            throw APIError(.serviceUnavailable, code: "worker_unavailable", refusal)
        }
        return try .json(
            PollDocument(
                report, workerID: worker.configuration.workerID, duration: ContinuousClock.now - began, now: .now))
    }
}

/// What `POST /api/jobs/worker` answers.
struct PollDocument: Encodable {
    let success = true
    let durationMilliseconds: Int
    let workerID: String
    let timestamp: Timestamp
    let report: PollReport

    init(_ report: PollReport, workerID: String, duration: Duration, now: Timestamp) {
        durationMilliseconds = Int((duration / .milliseconds(1)).rounded())
        self.workerID = workerID
        timestamp = now
        self.report = report
    }

    private enum CodingKeys: String, CodingKey {
        case success, timestamp, claimed, completed, retried, failed, running, saturated
        case durationMilliseconds = "duration_ms"
        case workerID = "worker_id"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(success, forKey: .success)
        try container.encode(durationMilliseconds, forKey: .durationMilliseconds)
        try container.encode(workerID, forKey: .workerID)
        try container.encode(timestamp, forKey: .timestamp)
        try container.encode(report.claimed, forKey: .claimed)
        try container.encode(report.completed, forKey: .completed)
        try container.encode(report.retried, forKey: .retried)
        try container.encode(report.failed, forKey: .failed)
        try container.encode(report.running, forKey: .running)
        try container.encode(report.isSaturated, forKey: .saturated)
    }
}
