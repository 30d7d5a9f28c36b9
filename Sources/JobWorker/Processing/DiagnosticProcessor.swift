/// Job types for trying things out: `noop`, `sleep` {seconds}, `fail` {message, times, permanent},
/// `progress` {steps, seconds}. Served with `WORKER_DIAGNOSTIC_JOBS`.
public struct DiagnosticProcessor: JobProcessor {
    public init() {}

    public let jobTypes = ["noop", "sleep", "fail", "progress"]

    private struct Payload: Decodable {
        var seconds: Double?
        var message: String?
        /// Attempts that fail; without it all do.
        var times: Int?
        var permanent: Bool?
        var steps: Int?
    }

    public func process(_ job: Job, context: JobContext) async throws -> JSONText? {
        if job.type == "noop" { return nil }
        let payload: Payload
        do {
            payload = try job.payload.decode()
        } catch {
            throw JobFailure.permanent(
                "The payload of a '\(job.type)' job must be an object with numbers and texts of the right kind")
        }
        switch job.type {
        case "sleep":
            let seconds = try Self.seconds(payload)
            try await Task.sleep(for: .seconds(seconds))
            return JSONText("{\"slept_seconds\":\(seconds)}")
        case "fail":
            if let times = payload.times, job.attempt > times {
                return JSONText("{\"failed_before\":\(times)}")
            }
            let message = payload.message ?? "Failed as asked"
            throw payload.permanent == true ? JobFailure.permanent(message) : JobFailure.retryable(message)
        default:
            let steps = payload.steps ?? 10
            guard (1...100_000).contains(steps) else { throw JobFailure.permanent("steps must be 1 to 100000") }
            let pause = Duration.seconds(try Self.seconds(payload)) / steps
            for step in 1...steps {
                try await Task.sleep(for: pause)
                try await context.progress(
                    step * 100 / steps, "Step \(step) of \(steps)", details: ["total": steps, "processed": step])
            }
            return JSONText("{\"steps\":\(steps)}")
        }
    }

    /// A `Duration` of a number without bounds would end the process.
    private static func seconds(_ payload: Payload) throws -> Double {
        let seconds = payload.seconds ?? 1
        guard (0...86_400).contains(seconds) else { throw JobFailure.permanent("seconds must be 0 to 86400") }
        return seconds
    }
}
