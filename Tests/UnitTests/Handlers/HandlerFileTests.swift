import Testing

@testable import Handlers

@Suite struct HandlerFileTests {
    @Test func `two lines are enough, and the rest is the usual`() throws {
        let file = try HandlerFile(
            parsing: "job_type: send_report\nexec: [\"/usr/bin/python3\", \"report.py\"]\n", path: "/etc/h.d/a.yaml")
        let handler = try #require(file.handlers.first)
        #expect(handler.jobType == "send_report")
        #expect(handler.audience == .operators)
        #expect(
            handler.kind == .exec(ExecSettings(command: ["/usr/bin/python3", "report.py"], directory: "/etc/h.d")))
        let asked = try HandlerFile(
            parsing: "job_type: a\nhttp: https://app.example.com/jobs\nsecret_file: /etc/s\n", path: "/x/a.yaml")
        #expect(asked.handlers.first?.audience == .members)
    }

    @Test(arguments: [
        ("job_type: a", 1, "lacks exec or http"), ("exec: [a]", 1, "lacks job_type"),
        ("job_type: a\nexec: a b", 2, "must be a list"), ("job_type: a\nexec: []", 2, "must be a list"),
        ("job_type: a\nexec: [a]\nhttp: https://b", 3, "exclude each other"),
        ("job_type: a\nexec: [a]\ntimeout: 0", 3, "timeout must be a whole number from 1"),
        ("job_type: a\nexec: [a]\nallow: all", 3, "members or operators"),
        ("job_type: a\nexec: [a]\nwhat: 1", 3, "'what' is not known"),
        ("job_type: a\nexec: [a]\nenv: {JOB_ID: x}", 3, "set by the worker"),
        ("job_type: a\nexec: [a]\nenv: {1A: x}", 3, "begins with no digit"),
        ("job_type: a\nexec: [a]\nuser_agent: x", 3, "does not go with exec"),
        ("job_type: a\nexec: [a]\nidle_timeout: 5", 3, "goes with pool"),
        ("job_type: a\nexec: [a]\nlimits: {memory: 5X}", 3, "memory must be"),
        ("job_type: a\nexec: [a]\ndirectory: x", 3, "must begin with /"),
        ("job_type: a\nhttp: https://b", 2, "needs secret_file"),
        ("job_type: a\nhttp: ftp://b", 2, "begins with https"),
        ("job_type: a\nhttp: https://u:p@b", 2, "no user or password"),
        ("job_type: a\nhttp: https://b\nsecret_file: s\npool: 2", 4, "does not go with http"),
        ("- job_type: a\n  exec: [a]\n- b", 3, "must be a mapping"), ("job_type: a\njob_type: b", 2, "key twice"),
        ("text", 1, "must be a handler"),
    ])
    func `a mistake is told with its line`(yaml: String, line: Int, text: String) {
        #expect {
            _ = try HandlerFile(parsing: yaml, path: "/etc/h.d/a.yaml")
        } throws: { error in
            guard let problem = error as? HandlerFile.Problem else { return false }
            return problem.line == line && problem.text.contains(text)
                && problem.description.hasPrefix("/etc/h.d/a.yaml:\(line): ")
        }
    }
}
