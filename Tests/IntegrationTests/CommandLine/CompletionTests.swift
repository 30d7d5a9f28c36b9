import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// What bash offers for a command line that is half typed.
@Suite(.database(), .timeLimit(.minutes(5))) struct CompletionTests {
    let database = TestDatabase.current

    /// Completes the last word.
    private func complete(_ words: String..., environment: String = "") async throws -> [String] {
        let program = BuiltProgram.path("jobworker")
        let list = ([program] + words).map { "'\($0)'" }.joined(separator: " ")
        let line = """
            source <(\(program) --generate-completion-script bash)
            \(environment)
            COMP_WORDS=(\(list)); COMP_CWORD=\(words.count); COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}
            COMPREPLY=()
            "$(complete -p jobworker | sed -E 's/.*-F ([^ ]+).*/\\1/')" \
            '\(program)' '\(words.last ?? "")' '\(words.dropLast().last ?? "")' 2>&1
            printf '%s\\n' "${COMPREPLY[@]}"
            """
        let run = try await CommandRun.shell(line, database: database)
        #expect(run.error == "", "\(run.error)")
        return run.lines.map { String($0).replacing(" ", with: "") }.sorted()
    }

    @Test func `queues, types, workers and ids come from the database, states from the program`() async throws {
        let id = try await database.insertJob("send_report", queue: "mail")
        try await database.insertJob("send_invoice", status: .completed, queue: "other")
        try await database.run(
            """
            INSERT INTO public.job_queues (name) VALUES ('marketing');
            INSERT INTO public.job_workers (id, instance, host, queues, job_types)
            VALUES ('host-1-a', 'x', 'h', '{*,mass}', '{send_sms}');
            """)
        #expect(try await complete("jobs", "list", "--queue", "ma") == ["mail", "marketing", "mass"])
        #expect(try await complete("jobs", "cancel", "--type", "send_") == ["send_invoice", "send_report", "send_sms"])
        #expect(try await complete("enqueue", "send_s") == ["send_sms"])
        #expect(try await complete("jobs", "list", "--worker", "h") == ["host-1-a"])
        #expect(try await complete("jobs", "list", "--workspace", "ffff") == [TestDatabase.workspace.text])
        #expect(try await complete("jobs", "show", String(id.text.prefix(6))) == [id.text])
        #expect(try await complete("jobs", "list", "--status", "c") == ["cancelled", "completed"])
        #expect(try await complete("queues", "pause", "mark") == ["marketing"])
    }

    @Test func `a database that is away offers nothing, says nothing and doesn't keep the shell waiting`() async throws
    {
        let start = ContinuousClock.now
        let found = try await complete(
            "jobs", "list", "--queue", "ma", environment: "export DATABASE_URL=postgresql://127.0.0.1:1/x")
        #expect(found.filter { !$0.isEmpty } == [])
        #expect(ContinuousClock.now - start < .seconds(10))
    }
}
