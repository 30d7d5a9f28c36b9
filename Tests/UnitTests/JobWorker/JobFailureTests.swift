import JobWorker
import Testing

@Suite struct JobFailureTests {
    @Test func `a failure reads as its message, and keeps its kind and causes`() {
        let failure = JobFailure.permanent("Account 7 not found", causes: ["PostgresError: no row"])
        #expect("\(failure)" == "Account 7 not found")
        #expect(failure.kind == .permanent && failure.causes == ["PostgresError: no row"])
        #expect(JobFailure.retryable("x").kind == .retryable)
        #expect(JobFailure.snooze(for: .seconds(30), "Apollo asked to wait").kind == .snooze(.seconds(30)))
    }
}
