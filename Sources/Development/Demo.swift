import FoundationEssentials
import JobWorker
import Postgres

/// Adds the sample jobs, shows how they run, and compares how each ended with how it should have.
package struct Demo: Sendable {
    private let system: DevSystem
    private let output: DevOutput

    package init(system: DevSystem, output: DevOutput) {
        self.system = system
        self.output = output
    }

    /// A job's row, as far as the demonstration looks at it.
    private struct Course {
        let status: JobStatus
        let attempts: Int
        let progress: JSONValue
        let message: String?
        let result: JSONText?
        let seconds: Double?

        var isOver: Bool { status.isFinal }
    }

    /// - Returns: Whether all ended as they should.
    package func run() async throws -> Bool {
        let jobs = DemoJob.all()
        let store = JobStore(pool: system.pool)
        try await output.step("Adding enrichment jobs") {
            _ = try await store.enqueue(jobs.filter { !$0.isLate }.map(\.newJob))
        }
        var courses = try await follow(jobs.filter { !$0.isLate })
        _ = try await store.enqueue(jobs.filter(\.isLate).map(\.newJob))
        courses.merge(try await follow(jobs.filter(\.isLate))) { _, last in last }
        output.line("")
        let isAsExpected = try await report(jobs, courses)
        output.line("")
        output.line("Health of the worker:")
        output.line(try await system.health())
        output.line("")
        return isAsExpected
    }

    /// Says a line for each change until all are over.
    private func follow(_ jobs: [DemoJob]) async throws -> [UUID: Course] {
        let deadline = ContinuousClock.now + .seconds(120)
        var shown: [UUID: String] = [:]
        while true {
            let courses = try await read(jobs)
            for job in jobs {
                guard let course = courses[job.id] else { continue }
                let text = line(course)
                if shown[job.id] != text, course.status != .pending || course.attempts > 0 || course.message != nil {
                    output.line("  \(job.title): \(text)")
                }
                shown[job.id] = text
            }
            if courses.count == jobs.count, courses.values.allSatisfy(\.isOver) { return courses }
            guard ContinuousClock.now < deadline else {
                output.line("Not all jobs ended within two minutes.")
                return courses
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private func line(_ course: Course) -> String {
        switch course.status {
        case .processing:
            let percentage = course.progress["percentage"]?.integer ?? 0
            return "running, \(percentage) % \(course.progress["message"]?.string ?? "")"
        case .pending: return course.message.map { "waits: \($0)" } ?? "waits"
        case .failed: return "failed: \(course.message ?? "")"
        case .completed, .blocked, .cancelled, .deadLetter: return course.status.rawValue
        }
    }

    private func read(_ jobs: [DemoJob]) async throws -> [UUID: Course] {
        let rows = try await system.pool.query(
            """
            /* jobworker:demo */
            SELECT id, status, attempts, progress, error_message, result,
                   extract(epoch FROM completed_at - created_at)::float8 AS seconds
            FROM public.jobs WHERE id = ANY (\(jobs.map(\.id)))
            """)
        var courses: [UUID: Course] = [:]
        for row in rows {
            let progress: JSONText = try row.decode("progress")
            courses[try row.decode("id")] = Course(
                status: JobStatus(rawValue: try row.decode("status")) ?? .pending, attempts: try row.decode("attempts"),
                progress: try progress.decode(), message: try row.decodeIfPresent("error_message"),
                result: try row.decodeIfPresent("result"), seconds: try row.decodeIfPresent("seconds"))
        }
        return courses
    }

    private func logs(of job: DemoJob) async throws -> [String] {
        let rows = try await system.pool.query(
            "/* jobworker:demo.logs */ SELECT message FROM public.job_logs WHERE job_id = \(job.id) ORDER BY created_at, seq"
        )
        var messages: [String] = []
        for row in rows { messages.append(try row.decode("message")) }
        return messages
    }

    private func report(_ jobs: [DemoJob], _ courses: [UUID: Course]) async throws -> Bool {
        let width = jobs.map(\.title.count).max() ?? 0
        output.line(row("job", "status", "attempts", "seconds", "credits", width))
        var differences: [String] = []
        for job in jobs {
            guard let course = courses[job.id] else {
                differences.append("\(job.title): the row is missing")
                continue
            }
            let result: JSONValue? = try course.result?.decode()
            output.line(
                row(
                    job.title, course.status.rawValue, String(course.attempts), course.seconds.map { tenths($0) } ?? "",
                    result?["credits_used"]?.integer.map { String($0) } ?? "", width))
            differences += job.differences(
                status: course.status, attempts: course.attempts, message: course.message, result: result,
                log: try await logs(of: job)
            ).map { "\(job.title): \($0)" }
        }
        output.line("")
        if differences.isEmpty {
            output.line("All \(jobs.count) jobs ended as they should.")
        } else {
            output.line("Not as it should be:")
            for difference in differences { output.line("  \(difference)") }
        }
        return differences.isEmpty
    }

    private func row(
        _ title: String, _ status: String, _ attempts: String, _ seconds: String, _ credits: String, _ width: Int
    ) -> String {
        let name = title + String(repeating: " ", count: width - title.count)
        let state = status + String(repeating: " ", count: max(0, 10 - status.count))
        return "\(name)  \(state)  \(right(attempts, 8))  \(right(seconds, 7))  \(right(credits, 7))"
    }

    private func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private func tenths(_ seconds: Double) -> String {
        let count = Int((seconds * 10).rounded())
        return "\(count / 10).\(count % 10)"
    }
}
