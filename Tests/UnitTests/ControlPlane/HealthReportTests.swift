@testable import ControlPlane
@testable import JobWorker
import Postgres
import Testing

/// The rules by which a worker is healthy or not, each alone.
struct HealthReportTests {
    private static let now = ContinuousClock.now
    private static let service = ServiceIdentity(
        region: "eu-north", environment: "production", version: "1.2.3", startedAt: now - .seconds(90))

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let status: HealthReport.Status
        let reason: String?
        var stuck: [WorkerState.Loop] = []
        let change: @Sendable (inout WorkerState.Snapshot) -> Void
    }

    private static let cases: [Case] = [
        Case(testDescription: "working", status: .healthy, reason: nil) { _ in },
        Case(testDescription: "connecting", status: .unhealthy, reason: "not connected to the database yet") {
            ($0.phase, $0.isConnected, $0.isListening) = (.connecting, false, false)
        },
        Case(testDescription: "schema missing", status: .unhealthy, reason: "run 'jobworker migrate'") {
            ($0.phase, $0.isListening) = (.awaitingMigration, false)
        },
        Case(testDescription: "draining", status: .degraded, reason: "is stopping") {
            ($0.phase, $0.isListening) = (.draining, false)
        },
        Case(testDescription: "stopped", status: .unhealthy, reason: "has stopped") {
            ($0.phase, $0.isConnected, $0.isListening) = (.stopped, false, false)
        },
        Case(testDescription: "LISTEN down", status: .degraded, reason: "LISTEN is down") { $0.isListening = false },
        Case(testDescription: "database just lost", status: .degraded, reason: "out of reach for 119 s") {
            ($0.isConnected, $0.disconnectedSince) = (false, now - .seconds(119))
        },
        Case(testDescription: "database lost for long", status: .unhealthy, reason: "out of reach for 120 s") {
            ($0.isConnected, $0.disconnectedSince) = (false, now - .seconds(120))
        },
        Case(testDescription: "database lost while draining", status: .unhealthy, reason: "out of reach for 200 s") {
            ($0.phase, $0.isConnected, $0.disconnectedSince) = (.draining, false, now - .seconds(200))
        },
        Case(
            testDescription: "a type impossible", status: .degraded,
            reason: "type enrich_contact are not served: no key."
        ) {
            $0.unservedTypes = ["enrich_contact": "no key"]
        },
        Case(testDescription: "poller within three intervals", status: .healthy, reason: nil) {
            $0.lastPollInstant = now - .seconds(15)
        },
        Case(
            testDescription: "poller beyond three intervals", status: .unhealthy,
            reason: "not looked at the queue for 16 s"
        ) {
            $0.lastPollInstant = now - .seconds(16)
        },
        Case(testDescription: "poller back from an outage", status: .healthy, reason: nil) {
            ($0.lastPollInstant, $0.undisturbedSince) = (now - .seconds(60), now - .seconds(2))
        },
        Case(testDescription: "poller silent without database", status: .degraded, reason: "out of reach") {
            ($0.isConnected, $0.disconnectedSince) = (false, now - .seconds(60))
            $0.lastPollInstant = now - .seconds(60)
        },
        Case(
            testDescription: "completer stuck", status: .unhealthy, reason: "The completer has not moved",
            stuck: [.completer]
        ) { _ in },
    ]

    @Test(arguments: cases) func `each trouble has its status and its sentence`(_ row: Case) {
        var snapshot = WorkerState.Snapshot.working
        row.change(&snapshot)
        let report = report(snapshot, stuck: row.stuck)
        #expect(report.status == row.status)
        if let reason = row.reason {
            #expect(report.reasons.count { $0.contains(reason) && $0.hasSuffix(".") } == 1, "\(report.reasons)")
        } else {
            #expect(report.reasons == [])
        }
    }

    @Test func `of several troubles the worst decides and comes first`() {
        var snapshot = WorkerState.Snapshot.working
        snapshot.unservedTypes = ["b": "no key", "a": "no program"]
        let report = report(snapshot, stuck: [.heartbeat])
        #expect(report.status == .unhealthy)
        #expect(
            report.reasons == [
                "The heartbeat has not moved for too long.", "Jobs of the type a are not served: no program.",
                "Jobs of the type b are not served: no key.",
            ])
    }

    @Test func `the database's own words are for operators`() {
        var snapshot = WorkerState.Snapshot.working
        (snapshot.isConnected, snapshot.disconnectedSince) = (false, Self.now)
        snapshot.databaseError = "connect: no route to db.internal"
        #expect(!report(snapshot).reasons.joined().contains("db.internal"))
        #expect(report(snapshot, isForOperator: true).reasons.joined().contains("db.internal"))
    }

    @Test func `the document has exactly the promised keys`() throws {
        var snapshot = WorkerState.Snapshot.working
        snapshot.lastPollAt = Timestamp(text: "2026-03-02T08:14:59.5Z")
        snapshot.databaseLatency = .microseconds(412)
        let text = try JSONText(encoding: report(snapshot, running: 2)).text
        #expect(
            text == """
                {"database":{"connected":true,"latency_ms":0.41,"listening":true},\
                "environment":{"env":"production","region":"eu-north"},"last_poll_at":"2026-03-02T08:14:59.500Z",\
                "max_concurrent":5,"queues":["default","mail"],"reasons":[],"running":2,"status":"healthy",\
                "timestamp":"2026-03-02T08:15:00.000Z","uptime_seconds":90,"version":"1.2.3","worker_exists":true,\
                "worker_id":"worker-1"}
                """)
        #expect(try JSONText(text).decode(HealthReport.self) == report(snapshot, running: 2))
    }

    @Test func `what is unknown is null`() throws {
        let report = HealthReport(worker: nil, service: Self.service, now: time, instant: Self.now)
        let text = try JSONText(encoding: report).text
        #expect(report.status == .unhealthy)
        #expect(text.contains(#""worker_exists":false,"worker_id":null"#))
        #expect(text.contains(#""last_poll_at":null"#))
        #expect(text.contains(#""latency_ms":null"#))
    }

    private let time = Timestamp(microseconds: 1_772_439_300_000_000)

    private func report(
        _ snapshot: WorkerState.Snapshot, running: Int = 0, stuck: [WorkerState.Loop] = [], isForOperator: Bool = false
    ) -> HealthReport {
        let observation = WorkerObservation(
            snapshot: snapshot, configuration: FakeWorker().configuration, running: running, stuckLoops: stuck)
        return HealthReport(
            worker: observation, service: Self.service, now: time, instant: Self.now, isForOperator: isForOperator)
    }
}
