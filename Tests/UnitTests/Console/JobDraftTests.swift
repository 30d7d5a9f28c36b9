import Console
import JobWorker
import Postgres
import Testing

struct JobDraftTests {
    private var draft: JobDraft {
        var draft = JobDraft()
        draft.workspaceID = "11111111-1111-1111-1111-111111111111"
        draft.type = "noop"
        return draft
    }

    private func mistakes(_ draft: JobDraft) -> [String] {
        do throws(JobMistakes) {
            _ = try draft.checked()
            return []
        } catch { return error.sentences }
    }

    @Test func `what isn't said has the usual value`() throws {
        let job = try draft.checked()
        #expect(job.queue == "default" && job.priority == .normal && job.maxAttempts == 5 && job.payload.text == "{}")
        #expect(job.timeout == nil && job.scheduledFor == nil && job.uniqueKey == nil)
    }

    @Test func `every mistake is told at once`() {
        var draft = JobDraft()
        draft.workspaceID = "nope"
        draft.queue = String(repeating: "q", count: 51)
        draft.payload = "{x"
        draft.priority = "11"
        draft.maxAttempts = "0"
        draft.timeout = .milliseconds(1500)
        draft.uniqueKey = ""
        #expect(mistakes(draft).count == 8)
    }

    @Test func `a payload larger than a worker reads is refused`() {
        var draft = draft
        draft.payload = "\"" + String(repeating: "x", count: JobDraft.payloadBytesMax) + "\""
        #expect(mistakes(draft).count == 1)
    }

    @Test func `a line of JSON wins over the options`() throws {
        var defaults = draft
        defaults.queue = "imports"
        defaults.priority = "low"
        let job = try JobDraft(
            json: """
                {"job_type":"report","priority":7,"payload":{"n":1.10},"scheduled_for":"2026-03-02T08:15:00Z",
                 "timeout_seconds":60,"max_attempts":2,"unique_key":"k","job_queue":null}
                """, defaults: defaults
        ).checked()
        #expect(job.type == "report" && job.priority.rawValue == 7 && job.queue == "imports")
        #expect(job.payload.text == #"{"n":1.10}"# && job.timeout == .seconds(60) && job.maxAttempts == 2)
        #expect(job.scheduledFor == Timestamp(text: "2026-03-02T08:15:00Z") && job.uniqueKey == "k")
    }

    @Test(arguments: [
        "{\"prioritty\":3}", "{\"job_type\":5}", "{\"scheduled_for\":\"tomorrow\"}", "{\"timeout_seconds\":1.5}",
        "{\"max_attempts\":\"many\"}", "{\"workspace_id\":\"x\"}", "not JSON", "[]", "{\"priority\":true}",
    ])
    func `a line with a mistake has one`(line: String) {
        #expect(mistakes(JobDraft(json: line, defaults: draft)).count == 1)
    }
}
