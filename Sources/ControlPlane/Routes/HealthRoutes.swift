import HTTPTypes
import HummingbirdCore
package import JobWorker
import Postgres

/// Whether the process lives, takes jobs, and is well. Asked by anyone, so it tells no secrets; asks no database, so
/// it answers whatever the database does.
package struct HealthRoutes<Worker: WorkerControl>: Sendable {
    private let worker: Worker
    private let service: ServiceIdentity

    package init(worker: Worker, service: ServiceIdentity) {
        self.worker = worker
        self.service = service
    }

    package var routes: [Route] {
        [
            Route(.get, "/healthz", access: .anyone, "Answers 200 while the process is alive.") { _ in
                try .json(["status": "ok"])
            },
            Route(
                .get, "/readyz", access: .anyone, "Answers 200 while the worker takes jobs, otherwise 503 and why not.",
                handler: { _ in try readiness() }),
            Route(
                .get, "/health", access: .anyone,
                "Tells how the worker is: 200 while it is healthy or degraded, 503 while it is unhealthy.",
                handler: { _ in try health(isForOperator: false) }),
            Route(
                .get, "/api/jobs/worker", access: .operators,
                "As /health; its reasons quote the database's errors as well.",
                handler: { _ in try health(isForOperator: true) }),
        ]
    }

    private func readiness() throws -> Response {
        guard let obstacle = Readiness(worker.state.snapshot).obstacle else { return try .json(["status": "ready"]) }
        return try .json(
            ["status": "not_ready", "error": obstacle.sentence, "code": obstacle.rawValue], status: .serviceUnavailable)
    }

    private func health(isForOperator: Bool) throws -> Response {
        let instant = ContinuousClock.now
        let report = HealthReport(
            worker: WorkerObservation(of: worker, instant: instant), service: service, now: .now, instant: instant,
            isForOperator: isForOperator)
        return try .json(report, status: report.httpStatus)
    }
}

extension HealthReport {
    var httpStatus: HTTPResponse.Status { status == .unhealthy ? .serviceUnavailable : .ok }
}
