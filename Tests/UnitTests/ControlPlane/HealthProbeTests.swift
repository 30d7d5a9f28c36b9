import ControlPlane
import HTTPClient
@testable import JobWorker
import Support
import Testing

@Suite(.timeLimit(.minutes(5)))
struct HealthProbeTests {
    @Test(
        arguments: [
            (.working, 0, 0), (.draining, 0, 1), (.connecting, 1, 1),
        ] as [(WorkerState.Phase, Int32, Int32)])
    func `the exit status tells how the worker is`(phase: WorkerState.Phase, status: Int32, strict: Int32) async throws
    {
        let worker = FakeWorker()
        worker.state.update { $0.phase = phase }
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/worker.sock"
            try await withControlPlane(listeningOn: [.unixSocket(path: path)], worker: worker) { plane in
                let outcome = try await HealthProbe(client: plane.client).check(socketPath: path)
                guard case .answered(let report, let text) = outcome else {
                    Issue.record("\(outcome)")
                    return
                }
                #expect(report.workerID == "worker-1")
                #expect(text.hasPrefix(#"{"database":"#))
                #expect(outcome.exitStatus(isStrict: false) == status)
                #expect(outcome.exitStatus(isStrict: true) == strict)
            }
        }
    }

    @Test func `nobody there is told apart from a worker that is ill`() async throws {
        let client = Client()
        let outcome = try await HealthProbe(client: client).check(socketPath: "/nowhere/worker.sock")
        guard case .unreachable(let reason) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(!reason.isEmpty)
        #expect(outcome.exitStatus(isStrict: false) == 69)
        await client.shutdown()
    }

    @Test func `a server that is silent counts as nobody`() async throws {
        try await withTemporaryDirectory { directory in
            try await withScriptedServer(path: "\(directory)/x.sock", reply: { _ in .silence() }) { server in
                let client = Client()
                let outcome = try await HealthProbe(client: client, timeout: .milliseconds(100))
                    .check(socketPath: "\(directory)/x.sock")
                #expect(outcome.exitStatus(isStrict: false) == 69)
                await client.shutdown()
            }
        }
    }

    @Test func `an answer that is no health document is not good health`() async throws {
        try await withTemporaryDirectory { directory in
            try await withScriptedServer(path: "\(directory)/x.sock", reply: { _ in .answer("hello") }) { server in
                let client = Client()
                let outcome = try await HealthProbe(client: client).check(socketPath: "\(directory)/x.sock")
                #expect(outcome == .notUnderstood(status: 200))
                #expect(outcome.exitStatus(isStrict: false) == 1)
                await client.shutdown()
            }
        }
    }
}
