import FoundationEssentials
import Postgres
import Support
import Testing

@Suite(.database()) struct ExitStatusTests {
    let database = TestDatabase.current

    @Test func `a mistake on the command line is 64`() async throws {
        #expect(try await CommandRun.of("nonsense").status == 64)
        #expect(try await CommandRun.of("jobs", "show", "nonsense").status == 64)
        #expect(try await CommandRun.of("jobs", "cancel", database: database).status == 64)
    }

    @Test func `what isn't there is 2`() async throws {
        for verb in ["show", "logs", "wait", "cancel", "retry", "delete", "watch"] {
            let run = try await CommandRun.of("jobs", verb, UUID().uuidString, database: database)
            #expect(run.status == 2 && run.error.contains("there is no job"))
            #expect(run.output == "")
        }
    }

    @Test func `a database that doesn't answer is 69`() async throws {
        let run = try await CommandRun.of("jobs", environment: ["DATABASE_URL": "postgresql://127.0.0.1:1/x"])
        #expect(run.status == 69 && run.output == "")
    }

    @Test func `a role that may not is 77`() async throws {
        let role = "nobody_\(database.name)"
        try await database.run("CREATE ROLE \(role) LOGIN")
        let run = try await CommandRun.of("jobs", database: database, role: role)
        #expect(run.status == 77 && run.error.contains("the database role lacks a right"))
        try await database.run("DROP ROLE \(role)")
        #expect(try await CommandRun.of("jobs", database: database, role: role).status == 77)
    }

    @Test func `bad settings are 78, all of them named`() async throws {
        let run = try await CommandRun.of(
            "jobs", environment: ["WORKER_MAX_CONCURRENT": "0", "WORKER_QUEUES": ",", "DATABASE_URL": "host=x"])
        #expect(run.status == 78)
        #expect(run.error.contains("WORKER_MAX_CONCURRENT = '0'") && run.error.contains("WORKER_QUEUES = ','"))
    }

    @Test func `help and version are 0 and go to standard output`() async throws {
        let help = try await CommandRun.of("--help")
        #expect(help.status == 0 && help.output.contains("enqueue") && help.error == "")
        #expect(try await CommandRun.of("--version").status == 0)
    }

    @Test func `a reader that goes away ends a command quietly`() async throws {
        for _ in 0..<50 { try await database.insertJob() }
        let program = BuiltProgram.path("jobworker")
        for command in ["jobs list", "jobs watch --interval 100ms"] {
            let line = "\(program) \(command) | head -1 >/dev/null; echo ${PIPESTATUS[0]}"
            let run = try await CommandRun.shell(line, database: database)
            #expect(run.output == "0\n" && run.error == "")
        }
    }

    @Test func `what a closed output would have got goes nowhere else`() async throws {
        _ = try await database.insertJob()
        let run = try await CommandRun.shell(
            "'\(BuiltProgram.path("jobworker"))' jobs list >&-", database: database)
        #expect(run.status == 1 && run.error.contains("Bad file descriptor"), "\(run.error)")
    }

    @Test func `no escape sequence of a name reaches the terminal`() async throws {
        let run = try await CommandRun.of("limits", "remove", "x\u{1B}[31m", database: database)
        #expect(run.status == 2 && !run.error.contains("\u{1B}"))
    }

    @Test func `a role without any right is told which one it needs`() async throws {
        let role = "stranger_\(UUID().uuidString.prefix(8).lowercased())"
        try await database.run("CREATE ROLE \(role) LOGIN")
        let run = try await CommandRun.of("doctor", database: database, role: role)
        #expect(
            run.output.contains("GRANT jobworker TO") && !run.output.contains("Check host and port"), "\(run.output)")
        try await database.run("DROP ROLE \(role)")
    }
}
