import Console
import FoundationEssentials
import JobWorker
import Postgres
import Terminal
import Testing

struct JobListViewTests {
    private let now = Timestamp(microseconds: 1_772_439_300_000_000)

    private func ago(_ seconds: Int) -> Timestamp { now.advanced(by: .seconds(-seconds)) }

    private func job(_ status: JobStatus?, _ change: (inout JobSummary) -> Void = { _ in }) -> JobSummary {
        var job = JobSummary(id: UUID(), type: "noop", status: status, asOf: now)
        job.createdAt = ago(120)
        job.dueAt = ago(120)
        change(&job)
        return job
    }

    private func note(_ job: JobSummary) -> String {
        EndedLine(job).text(for: .plain)
    }

    @Test func `a note says what a job waits for or does`() {
        #expect(note(job(.pending)) == "pending: due for 2 min")
        #expect(note(job(.pending) { $0.dueAt = ago(-600) }) == "pending: due in 10 min")
        #expect(
            note(
                job(.pending) { job in
                    job.attempts = 2
                    job.dueAt = ago(-60)
                    job.nextRetryAt = ago(-60)
                    job.errorMessage = "502"
                }) == "pending: again in 1 min: 502")
        #expect(note(job(.pending) { $0.dueAt = nil }) == "pending: never due: it has no time")
        #expect(
            note(
                job(.processing) { job in
                    job.percentage = 40
                    job.progressMessage = "Mapping\nfields"
                }) == "processing: 40 % Mapping fields")
        #expect(note(job(.processing) { $0.startedAt = ago(5) }) == "processing: for 5.0 s")
        #expect(
            note(
                job(.completed) { job in
                    job.startedAt = ago(10)
                    job.completedAt = ago(7)
                }) == "completed: took 3.0 s")
        #expect(note(job(.failed) { $0.errorMessage = "No luck\u{1B}[2J" }) == "failed: No luck�[2J")
        #expect(note(job(nil)) == "none: no worker touches it")
    }

    @Test func `a percentage that makes no sense is kept within its bounds`() {
        #expect(note(job(.processing) { $0.percentage = 1e300 }) == "processing: 100 %")
        #expect(note(job(.processing) { $0.percentage = -5 }) == "processing: 0 %")
    }

    @Test(arguments: [80, 100, 132, 200])
    func `the list fits the terminal and shows whole ids`(width: Int) {
        let jobs = JobStatus.allCases.map { status in
            job(status) { $0.errorMessage = String(repeating: "long ", count: 60) }
        }
        let lines = JobListView(jobs).text(for: Screen(width: width, palette: .plain)).split(separator: "\n")
        #expect(lines.count == 8)
        #expect(lines.allSatisfy { $0.displayWidth <= width })
        #expect(zip(lines.dropFirst(), jobs).allSatisfy { $0.hasPrefix($1.id.text) })
    }

    @Test func `as JSON a job has the names of the columns and times in UTC`() {
        let json = JobListView([job(.pending)]).json.line
        #expect(json.contains(#""job_type":"noop","job_queue":"default","status":"pending","priority":0"#))
        #expect(json.contains(#""created_at":"2026-03-02T08:13:00.000Z""#))
        #expect(json.hasSuffix(#""next_cursor":null}"#))
    }

    @Test func `a list of nothing prints nothing`() {
        #expect(JobListView([]).text(for: .plain) == "")
        #expect(JobListView([]).json.line == #"{"jobs":[],"next_cursor":null}"#)
    }
}
