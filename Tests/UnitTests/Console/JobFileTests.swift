import Console
import JobWorker
import Testing

@MainActor struct JobFileTests {
    private let folder: SettingsFolder

    init() throws { folder = try SettingsFolder() }

    private func file(_ lines: [String]) throws -> JobFile {
        var defaults = JobDraft()
        defaults.workspaceID = "11111111-1111-1111-1111-111111111111"
        return JobFile(path: try folder.write(lines.joined(separator: "\n"), to: "jobs.jsonl"), defaults: defaults)
    }

    @Test func `a file comes in batches with the number of their last line`() async throws {
        let file = try file([""] + (0..<1100).map { "{\"job_type\":\"t\($0)\"}" })
        var batches: [(count: Int, line: Int)] = []
        try file.check()
        try await file.read { jobs, line in batches.append((jobs.count, line)) }
        #expect(batches.map(\.count) == [500, 500, 100])
        #expect(batches.map(\.line) == [501, 1001, 1101])
    }

    @Test func `mistakes are told with their lines before anything is added`() throws {
        let file = try file(["{\"job_type\":\"a\"}", "{}", "", "nonsense"])
        let complaint = #expect(throws: Complaint.self) { try file.check() }
        #expect(complaint?.status == .usage)
        #expect(complaint?.message.contains("line 2: the job type is missing") == true)
        #expect(complaint?.message.contains("line 4: it is not valid JSON") == true)
    }

    @Test func `a file that isn't there is a usage error`() {
        #expect(throws: Complaint(.usage, "/nonexistent can't be opened: No such file or directory")) {
            try JobFile(path: "/nonexistent", defaults: JobDraft()).check()
        }
    }
}
