import JobWorker
import Testing

@Suite struct JobStatusTests {
    @Test func `the states are spelled as the table spells them`() {
        #expect(
            JobStatus.allCases.map(\.rawValue)
                == ["pending", "blocked", "processing", "completed", "failed", "dead_letter", "cancelled"])
    }

    @Test func `four states are final`() {
        #expect(JobStatus.allCases.filter(\.isFinal) == [.completed, .failed, .deadLetter, .cancelled])
    }
}
