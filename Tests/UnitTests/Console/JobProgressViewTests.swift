import FoundationEssentials
import JobWorker
import Postgres
import Terminal
import Testing

@testable import Console

struct JobProgressViewTests {
    private let now = Timestamp(microseconds: 1_000_000_000)

    private func line(_ status: JobStatus, width: Int? = nil, _ change: (inout JobSummary) -> Void = { _ in }) -> String
    {
        var job = JobSummary(id: UUID(), type: "import", status: status, asOf: now)
        change(&job)
        return JobProgressView(job).text(for: Screen(width: width, palette: .plain))
    }

    @Test func `a running job is one line with its progress, what it does and for how long`() {
        let text = line(.processing) { job in
            job.percentage = 45
            job.progressMessage = "540 of\n1200"
            job.startedAt = now.advanced(by: .seconds(-90))
            job.attempts = 2
        }
        #expect(
            text
                == "processing  █████████░░░░░░░░░░░   45 %  540 of 1200  (1 min 30 s, attempt 2 of 5)\n"
                .replacing("   45", with: "  45"))
    }

    @Test func `it never takes more than a line of the terminal`() {
        let text = line(.processing, width: 30) { job in
            job.percentage = 45
            job.progressMessage = String(repeating: "x", count: 100)
        }
        #expect(text.dropLast().displayWidth == 30)
    }

    @Test func `one that waits or has ended says why`() {
        #expect(line(.failed) { $0.errorMessage = "no such account" } == "failed  no such account\n")
        #expect(line(.completed) == "completed\n")
    }
}
