import FoundationEssentials
import JobWorker
import JobWorkerTesting
import Testing

@Suite struct TypedProcessorTests {
    private struct Order: TypedJobProcessor {
        let jobType = "order"

        struct Payload: Decodable {
            struct Line: Decodable { var count: Int }
            var id: UUID
            var lines: [Line]
        }

        func process(_ payload: Payload, job: Job, context: JobContext) async throws -> NoResult {
            try await context.log(.info, "\(payload.lines.count) lines in attempt \(job.attempt)")
            try await context.enqueue("ship", payload: ["id": payload.id], uniqueKey: payload.id.uuidString)
            return NoResult()
        }
    }

    private struct Waiting: JobProcessor {
        let jobTypes = ["waiting"]

        func process(_ job: Job, context: JobContext) async throws -> JSONText? {
            while true { try await Task.sleep(for: .seconds(1000)) }
        }
    }

    private struct Odd: Error, CustomStringConvertible { let description = "odd" }

    private struct Failing: TypedJobProcessor {
        let jobType = "failing"
        struct Payload: Decodable {}

        func process(_ payload: Payload, job: Job, context: JobContext) async throws -> [String] {
            if job.attempt > 1 { return [] }
            throw Odd()
        }
    }

    @Test(arguments: [
        (#"{"lines": []}"#, "'id' is missing"),
        (#"{"id": "5d1c8f1e-6a1c-4a57-8bb5-fbb5d4e4dbaa"}"#, "'lines' is missing"),
        (#"{"id": 7, "lines": []}"#, "'id' has the wrong type"),
        (#"{"id": "no", "lines": []}"#, "'id' can't be read"),
        (
            #"{"id": "5d1c8f1e-6a1c-4a57-8bb5-fbb5d4e4dbaa", "lines": [{"count": 1}, {"count": "secret"}]}"#,
            "'lines[1].count' has the wrong type"
        ),
        (#"{"id": null, "lines": []}"#, "'id' is missing or null"),
        ("[]", "it has the wrong type"),
    ])
    func `A wrong payload fails for good and names the member, not its value`(payload: String, mistake: String) async {
        let run = await ProcessorRun.of(Order(), payload: payload)
        #expect(run.failure?.kind == .permanent)
        #expect(run.failure?.message == "Invalid payload: \(mistake)")
        #expect(run.logs.isEmpty)
    }

    @Test func `The kit keeps log rows and added jobs, and a processor may have no result`() async throws {
        let run = await ProcessorRun.of(
            Order(), payload: #"{"id": "5d1c8f1e-6a1c-4a57-8bb5-fbb5d4e4dbaa", "lines": [{"count": 1}]}"#, attempt: 3)
        guard case .completed(nil) = run.outcome else { return #expect(Bool(false), "\(run.outcome)") }
        #expect(run.logs == [JobLogEntry(level: .info, message: "1 lines in attempt 3")])
        #expect(run.enqueued.map(\.type) == ["ship"])
        #expect(run.enqueued.first?.payload.text == #"{"id":"5D1C8F1E-6A1C-4A57-8BB5-FBB5D4E4DBAA"}"#)
        #expect(run.enqueued.first?.uniqueKey == "5D1C8F1E-6A1C-4A57-8BB5-FBB5D4E4DBAA")
    }

    @Test func `The kit tells an attempt that is over its time from one that failed`() async {
        let late = await ProcessorRun.of(Waiting(), timeout: .milliseconds(20))
        guard case .timedOut = late.outcome else { return #expect(Bool(false), "\(late.outcome)") }
        let failed = await ProcessorRun.of(Failing())
        #expect(failed.failure?.kind == .retryable)
        #expect(failed.failure?.message == "odd")
        let second = await ProcessorRun.of(Failing(), attempt: 2)
        #expect(second.failure == nil)
    }

    @Test func `Whoever cancels the test stops the attempt`() async {
        let run = Task { await ProcessorRun.of(Waiting(), timeout: .seconds(600)) }
        run.cancel()
        #expect(await run.value.failure?.kind == .retryable)
    }
}
