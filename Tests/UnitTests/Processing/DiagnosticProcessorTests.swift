import JobWorker
import JobWorkerTesting
import Testing

@Suite struct DiagnosticProcessorTests {
    @Test(arguments: ["sleep", "progress"], ["1e300", "-1", "86401"])
    func `seconds that nobody waits for make the job fail`(type: String, seconds: String) async throws {
        let run = await ProcessorRun.of(
            DiagnosticProcessor(), payload: "{\"seconds\":\(seconds)}", jobType: type, timeout: .seconds(1))
        #expect(run.failure?.kind == .permanent)
        #expect(run.failure?.message == "seconds must be 0 to 86400")
    }
}
