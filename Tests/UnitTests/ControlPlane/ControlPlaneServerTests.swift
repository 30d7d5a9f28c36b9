import ControlPlane
import Glibc
import HTTPClient
import HTTPTypes
@testable import JobWorker
import Support
import Testing

@Suite(.timeLimit(.minutes(5)))
struct ControlPlaneServerTests {
    @Test func `the same routes answer on a socket and on a port`() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/worker.sock"
            try await withControlPlane(listeningOn: [.unixSocket(path: path), .tcp(host: "127.0.0.1", port: 0)]) {
                plane in
                #expect(plane.addresses[0] == .unixSocket(path: path))
                for address in plane.addresses {
                    let response = try await plane.send("GET", "/healthz", to: address)
                    #expect(response.status == 200)
                    #expect(response.text == #"{"status":"ok"}"#)
                    #expect(response.header("Content-Type") == "application/json")
                    #expect(response.header("Cache-Control") == "no-store")
                    #expect(response.header("Date")?.hasSuffix(" GMT") == true)
                }
            }
        }
    }

    @Test func `HEAD is GET without the body`() async throws {
        try await withControlPlane { plane in
            let connection = try await RawConnection(to: plane.address)
            await connection.send(
                "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            let answers = await connection.receiveAll()
            #expect(answers.components("HTTP/1.1 200 OK").count == 3)
            #expect(answers.components("Content-Length: 15").count == 3)
            #expect(answers.components(#"{"status":"ok"}"#).count == 2)
        }
    }

    @Test(arguments: [
        ("GET", "/nowhere", 404, "not_found"), ("GET", "//healthz", 404, "not_found"),
        ("GET", "/healthz/../health", 404, "not_found"), ("GET", "/healthz%2F", 404, "not_found"),
        ("GET", "/api/jobs/worker/x", 404, "not_found"), ("POST", "/healthz", 405, "method_not_allowed"),
        ("DELETE", "/api/jobs/worker", 405, "method_not_allowed"), ("TRACE", "/health", 405, "method_not_allowed"),
    ])
    func `what isn't there is told as JSON`(method: String, path: String, status: Int, code: String) async throws {
        try await withControlPlane { plane in
            let connection = try await RawConnection(to: plane.address)
            await connection.send("\(method) \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            let answer = await connection.receiveAll()
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
            #expect(answer.contains(#"{"code":"\#(code)","error":""#))
            #expect((status == 405) == answer.contains("\r\nAllow: "))
        }
    }

    @Test func `a path in absolute form is understood`() async throws {
        try await withControlPlane { plane in
            let connection = try await RawConnection(to: plane.address)
            await connection.send(
                "GET http://any.example/healthz HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n")
            #expect(await connection.receiveAll().hasPrefix("HTTP/1.1 200 "))
        }
    }

    // MARK: Health

    @Test(
        arguments: [
            (.connecting, false, 503, "database_not_connected"), (.awaitingMigration, true, 503, "schema_not_migrated"),
            (.working, true, 200, "ready"), (.working, false, 503, "database_unreachable"),
            (.draining, true, 503, "draining"),
            (.stopped, false, 503, "stopped"),
        ] as [(WorkerState.Phase, Bool, Int, String)])
    func `it is ready only while it takes jobs, and alive all the time`(
        phase: WorkerState.Phase, isConnected: Bool, status: Int, word: String
    ) async throws {
        let worker = FakeWorker()
        worker.state.update { ($0.phase, $0.isConnected) = (phase, isConnected) }
        try await withControlPlane(worker: worker) { plane in
            let ready = try await plane.send("GET", "/readyz")
            #expect(ready.status == status)
            #expect(ready.text.contains("\"\(word)\""))
            #expect((status == 200) != ready.text.contains(#""error":""#))
            #expect(try await plane.send("GET", "/healthz").status == 200)
        }
    }

    @Test(
        arguments: [(.working, 200, "healthy"), (.draining, 200, "degraded"), (.connecting, 503, "unhealthy")]
            as [(WorkerState.Phase, Int, String)])
    func `health is a document with a status to match`(phase: WorkerState.Phase, code: Int, status: String) async throws
    {
        let worker = FakeWorker(running: 3)
        worker.state.update {
            $0.phase = phase
            $0.databaseError = "connect: no route to db.internal"
        }
        try await withControlPlane(worker: worker) { plane in
            for response in [
                try await plane.send("GET", "/health"), try await plane.sendAuthorized("GET", "/api/jobs/worker"),
            ] {
                #expect(response.status == code)
                let report = try JSONText(response.text).decode(HealthReport.self)
                #expect(report.status.rawValue == status)
                #expect(report.workerID == "worker-1")
                #expect(report.running == 3)
                #expect(report.environment.region == "eu-north")
            }
            #expect(try await !plane.send("GET", "/health").text.contains("db.internal"))
        }
    }

    // MARK: Polling on demand

    @Test func `a poll answers with its counts`() async throws {
        let worker = FakeWorker { _ in
            var report = PollReport()
            (report.claimed, report.completed, report.retried, report.failed, report.running) = (5, 2, 1, 1, 3)
            report.isSaturated = true
            return report
        }
        try await withControlPlane(worker: worker) { plane in
            let response = try await plane.sendAuthorized("POST", "/api/jobs/worker?wait_ms=1500")
            #expect(response.status == 200)
            let document = try JSONText(response.text).decode([String: JSONValue].self)
            #expect(
                document.keys.sorted() == [
                    "claimed", "completed", "duration_ms", "failed", "retried", "running", "saturated", "success",
                    "timestamp", "worker_id",
                ])
            #expect(response.text.hasPrefix(#"{"claimed":5,"completed":2,"duration_ms":"#))
            #expect(response.text.contains(#""failed":1,"retried":1,"running":3,"saturated":true,"success":true"#))
            _ = try await plane.sendAuthorized("POST", "/api/jobs/worker")
        }
        #expect(worker.pollLimits == [.milliseconds(1500), .seconds(25)])
    }

    @Test func `a poll that was refused is told as an error`() async throws {
        let worker = FakeWorker { _ in
            var report = PollReport()
            report.refusal = "the worker is stopping"
            return report
        }
        try await withControlPlane(worker: worker) { plane in
            let response = try await plane.sendAuthorized("POST", "/api/jobs/worker")
            #expect(response.status == 503)
            #expect(response.text == #"{"code":"worker_unavailable","error":"the worker is stopping"}"#)
        }
    }

    @Test(arguments: ["-1", "60001", "x", ""])
    func `a poll with a wrong time to wait does nothing`(wait: String) async throws {
        let worker = FakeWorker()
        try await withControlPlane(worker: worker) { plane in
            let response = try await plane.sendAuthorized("POST", "/api/jobs/worker?wait_ms=\(wait)")
            #expect(response.status == 400)
            #expect(response.text.hasPrefix(#"{"code":"invalid_parameter","error":"wait_ms "#))
        }
        #expect(worker.pollLimits == [])
    }

    @Test func `a handler's own failure stays inside`() async throws {
        let broken = Route(.get, "/broken", access: .anyone, "") { _ in throw SocketFailure("secret") }
        try await withControlPlane(moreRoutes: [broken]) { plane in
            let response = try await plane.send("GET", "/broken")
            #expect(response.status == 500)
            #expect(response.text.contains(#""code":"internal_error""#))
            #expect(!response.text.contains("secret"))
        }
    }
}

extension String {
    /// The parts between the occurrences of `separator`.
    func components(_ separator: String) -> [Substring] {
        split(separator: separator, omittingEmptySubsequences: false)
    }
}
