import JobWorker
import Testing

@Suite struct JobLogLevelTests {
    @Test func `levels are ordered, and the older spelling is read`() {
        #expect(JobLogLevel.allCases.sorted() == [.debug, .info, .warn, .error])
        #expect(JobLogLevel(text: "warning") == .warn && JobLogLevel(text: "warn") == .warn)
        #expect(JobLogLevel(text: "notice") == nil)
    }
}
