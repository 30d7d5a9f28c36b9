import Development
import FoundationEssentials
import Glibc
import JobWorker
import Support
import Testing

/// `jobworker handlers`, which needs no database.
@Suite struct HandlersCommandTests {
    private func run(_ arguments: [String], _ folder: Folder) async throws -> CommandRun {
        try await CommandRun.of(arguments: ["handlers"] + arguments, environment: ["WORKER_HANDLERS": folder.path])
    }

    private func folder(_ files: [String: String]) throws -> Folder {
        let folder = try Folder()
        for (name, text) in files {
            try text.write(toFile: "\(folder.path)/\(name)", atomically: true, encoding: .utf8)
        }
        return folder
    }

    @Test func `what is wrong is told with file and line, and the rest is listed`() async throws {
        let folder = try folder([
            "a.yaml": "job_type: good\nexec: [sh, -c, \"exit 0\"]\nmax_concurrent: 3\n",
            "b.yaml": "job_type: bad\nexec: 1\n",
            "c.yaml": "job_type: good\nexec: [sh]\n", "d.yaml": "job_type: lost\nexec: [/nonexistent/x]\n",
        ])
        let check = try await run(["check"], folder)
        #expect(check.status == 78)
        #expect(check.output.contains("\(folder.path)/b.yaml:2: exec must be a list"))
        #expect(
            check.output.contains(
                "\(folder.path)/c.yaml:1: the job type 'good' stands already in \(folder.path)/a.yaml:1"))
        #expect(check.output.contains("\(folder.path)/d.yaml:1: lost: /nonexistent/x can't be run"))
        let list = try await run(["list", "--json"], folder)
        #expect(list.status == 0)
        let handlers = try list.json()["handlers"]?.array
        #expect(handlers?.map { $0["job_type"]?.string } == ["good", "lost"])
        #expect(handlers?.first?["max_concurrent"]?.integer == 3 && handlers?.first?["allow"]?.string == "operators")
        let one = try await run(["check", "\(folder.path)/a.yaml"], folder)
        #expect(one.status == 0 && one.output.contains("nothing is wrong"))
    }

    private func tied(_ arguments: [String], _ folder: Folder, ignoringEnds: Bool = false) -> TiedProcess {
        TiedProcess(
            ["env", "-i"] + (ignoringEnds ? ["--ignore-signal=CHLD"] : [])
                + ["PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "WORKER_HANDLERS=\(folder.path)"]
                + [BuiltProgram.path("jobworker"), "handlers"] + arguments)
    }

    @Test func `an interruption ends the program with all that it started, and is told by the exit status`()
        async throws
    {
        let folder = try folder([:])
        let file = "\(folder.path)/pid"
        _ = try folder.write(
            "job_type: slow\nexec: [sh, -c, \"sleep 1000 & echo $! > \(file).new; mv \(file).new \(file); wait\"]\n",
            to: "a.yaml")
        let process = tied(["run", "slow"], folder)
        try await eventually("the program has started") { FileManager.default.fileExists(atPath: file) }
        let text = try String(contentsOfFile: file, encoding: .utf8)
        let pid = try #require(pid_t(text.filter(\.isNumber)))
        process.send(.interrupt)
        #expect(await process.ended() == 130)
        #expect(kill(pid, 0) == -1)
        kill(pid, SIGKILL)
    }

    @Test func `a failure is seen as such where SIGCHLD was ignored by whoever started the worker`() async throws {
        let folder = try folder(["a.yaml": "job_type: broken\nexec: [sh, -c, \"exit 3\"]\n"])
        let process = tied(["run", "broken"], folder, ignoringEnds: true)
        var lines: [String] = []
        for await line in process.lines { lines.append(line) }
        #expect(lines == ["Would be tried again: The program ended with status 3"])
        #expect(await process.ended() == 1)
    }

    @Test func `a handler is tried without a database`() async throws {
        let folder = try folder([
            "a.yaml": """
            - job_type: echo
              exec: [sh, -c, "echo hi >&2; cat"]
            - job_type: fail
              exec: [sh, -c, "echo broken >&2; exit 65"]
            - job_type: kept
              exec: [sed, -u, 's/.*/{"result":{"a":1}}/']
              pool: 1
            - job_type: slow
              timeout: 1
              exec: [sleep, "1000"]
            """
        ])
        let echo = try await run(["run", "echo", "--payload", #"{"x": [1.50]}"#], folder)
        #expect(echo.status == 0 && echo.output.contains(#""payload":{"x": [1.50]}"#) && echo.error.contains("info hi"))
        let failed = try await run(["run", "fail", "--json"], folder)
        #expect(failed.status == 1)
        #expect(try failed.json()["outcome"]?.string == "failed")
        #expect(try failed.json()["error"]?.string == "The program says that trying again can't help: broken")
        #expect(try await run(["run", "kept"], folder).output == "{\"a\":1}\n")
        let slow = try await run(["run", "slow"], folder)
        #expect(slow.status == 1 && slow.output.contains("longer than 1 s"))
        #expect(try await run(["run", "other"], folder).status == 2)
        #expect(try await run(["run", "echo", "--payload", "{"], folder).status == 64)
    }
}
