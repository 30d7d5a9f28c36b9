import FoundationEssentials
import Glibc
import JobWorker
import Testing

@testable import Handlers

@Suite(.timeLimit(.minutes(5))) struct ExecHandlerTests {
    @Test func `a program gets its job on standard input and in its environment, and its last line is the result`()
        async throws
    {
        let run = HandlerRun(payload: #"{"to": "a@b.c"}"#, attempt: 3)
        let result = try await run.run("cat; echo; echo \"[\\\"$JOB_ID\\\",\\\"$JOB_TYPE\\\",$JOB_ATTEMPT]\"; echo")
        #expect(result == "[\"\(run.job.id.uuidString.lowercased())\",\"tested\",3]")
        let whole: JSONValue = try JSONText(try #require(try await run.run("cat"))).decode()
        #expect(whole["payload"]?["to"] == .string("a@b.c"))
        #expect(whole["id"] == .string(run.job.id.uuidString.lowercased()))
        #expect(whole["attempts"] == .integer(3))
    }

    @Test(arguments: [
        ("true", nil), ("echo hello", #"{"output":"hello"}"#), ("echo '{\"a\": 1.50}'", #"{"a": 1.50}"#),
        ("printf '\\377\\000x'", "{\"output\":\"\u{FFFD}\u{FFFD}x\"}"),
        // What jsonb refuses.
        (#"echo '"\u0000"'"#, #"{"output":"\"\\u0000\""}"#),
        ("echo '{\"a\":1e99999}'", #"{"output":"{\"a\":1e99999}"}"#),
    ])
    func `a result is JSON that the database takes`(script: String, result: String?) async throws {
        #expect(try await HandlerRun().run(script) == result)
    }

    @Test func `exit statuses say what is to follow`() async throws {
        let run = HandlerRun()
        let failed = try #require(await run.failure("echo first >&2; echo 'disk full' >&2; exit 3"))
        #expect(failed.kind == .retryable)
        #expect(failed.message == "The program ended with status 3: disk full")
        #expect(failed.causes == ["Standard error:", "first", "disk full"])
        #expect(await run.failure("exit 65")?.kind == .permanent)
        #expect(await run.failure("exit 75")?.kind == .retryable)
        #expect(await run.failure("echo '{\"retry_in\":30}' >&3; exit 75")?.kind == .snooze(.seconds(30)))
        let killed = try #require(await run.failure("kill -SEGV $$"))
        #expect(killed.kind == .retryable)
        #expect(killed.message.contains("signal 11 (SIGSEGV)"))
    }

    @Test func `a program that can't be started fails with the reason`() async throws {
        let run = HandlerRun()
        for (exec, reason) in [
            ("[\"/nonexistent/program\"]", "No such file or directory"), ("[\"/etc/passwd\"]", "Permission denied"),
            ("[\"no-such-name\"]", "not found"),
        ] {
            await #expect {
                _ = try await HandlerRun.processor("exec: \(exec)").process(run.job, context: run.context)
            } throws: {
                ($0 as? JobFailure)?.message.contains(reason) == true && ($0 as? JobFailure)?.kind == .retryable
            }
        }
        #expect(await run.failure("true", "directory: /nonexistent")?.message.contains("can't be entered") == true)
    }

    @Test func `progress and log rows come through descriptor 3 and standard error`() async throws {
        let run = HandlerRun()
        _ = try await run.run(
            """
            echo '{"progress":{"percentage":40,"message":"half","total":7}}' >&3
            echo '{"log":{"level":"warn","message":"odd","row":4}}' >&3
            echo nonsense >&3
            printf 'to stderr \\377\\n' >&2
            """)
        #expect(run.record.progress.last == JobProgress(percentage: 40, message: "half", details: ["total": 7]))
        #expect(run.record.rows.contains(JobLogEntry(level: .warn, message: "odd", metadata: ["row": .integer(4)])))
        #expect(run.record.messages.contains("to stderr \u{FFFD}"))
        #expect(run.record.messages.contains { $0.hasPrefix("A line on descriptor 3 is not understood") })
    }

    @Test func `nothing of the worker's environment and no other descriptor is seen by a program`() async throws {
        setenv("HANDLER_TEST_SECRET", "canary-value", 1)
        let run = HandlerRun()
        let text = try #require(
            try await run.run(
                "env >&2; echo $(cat /proc/self/environ | tr '\\000' ' ') $(ls /proc/self/fd | tr '\\n' ' ')",
                "env: {GREETING: hello}"))
        #expect(!text.contains("canary-value"))
        #expect(!run.record.messages.contains { $0.contains("canary-value") })
        #expect(text.contains("GREETING=hello"))
        // The last is that with which ls reads the folder.
        #expect(text.contains(" 0 1 2 3 4 \"}") || text.contains(" 0 1 2 3 4\"}"))
    }

    @Test func `a gigabyte on standard error neither fills the memory nor the log`() async throws {
        let run = HandlerRun()
        let result = try await run.run(
            "yes 'an error of some length, again and again' | head -c 1073741824 >&2; echo '{}'")
        #expect(result == "{}")
        #expect(run.record.rows.count <= 902)
        let last = try #require(run.record.messages.last)
        #expect(last.hasSuffix("more lines of the program's output were left out"))
        #expect(Int(last.prefix { $0.isNumber }) ?? 0 > 20_000_000)
        let one = HandlerRun()
        #expect(try await one.run("head -c 300000000 /dev/zero >&2") == nil)
        #expect(one.record.messages.count == 1)
        #expect(one.record.messages[0].utf8.count < 40_000)
    }

    @Test func `a result over the limit fails for good`() async throws {
        let failure = await HandlerRun().failure("head -c 2000000 /dev/zero | tr '\\000' x")
        #expect(failure?.kind == .permanent)
        #expect(failure?.message.contains("longer than 1048576 bytes") == true)
    }

    @Test func `a program that closes its output early is waited for`() async throws {
        let failure = await HandlerRun().failure("echo '[1]'; exec 0<&- 1>&- 2>&- 3>&-; sleep 0.3; exit 65")
        #expect(failure?.kind == .permanent)
        #expect(try await HandlerRun().run("echo '[1]'; exec 0<&- 1>&- 2>&- 3>&-; sleep 0.3") == "[1]")
    }

    @Test(arguments: [
        "sleep 1000 & echo '{}'", "(setsid sleep 1000 &) ; echo '{}'",
        "setsid sh -c 'setsid sleep 1000 & sleep 1000' & echo '{}'",
        "trap '' TERM; (trap '' TERM HUP; setsid sleep 1000 </dev/null >/dev/null 2>&1 3>&- &) ; echo '{}'",
    ])
    func `what a program leaves behind ends with it`(script: String) async throws {
        let run = HandlerRun()
        #expect(try await run.run(script) == "{}")
        #expect(run.processes.isEmpty)
    }

    @Test(arguments: ["exec sleep 1000", "trap 'exit 0' TERM; while :; do sleep 0.05; done"])
    func `a program that is stopped gets SIGTERM`(script: String) async throws {
        let run = HandlerRun()
        let task = Task { try await run.run("echo started >&2; \(script)") }
        while run.record.messages.isEmpty { await Task.yield() }
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        #expect(run.processes.isEmpty)
    }

    @Test func `who ignores SIGTERM is killed ten seconds later, with all that it started`() async throws {
        let run = HandlerRun()
        let script =
            "trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep 1000' &); echo started >&2; while :; do sleep 1; done"
        let task = Task { try await run.run(script) }
        while run.record.messages.isEmpty { await Task.yield() }
        let began = ContinuousClock.now
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        #expect(ContinuousClock.now - began >= .seconds(9.5))
        #expect(run.processes.isEmpty)
    }

    @Test func `limits hold`() async throws {
        #expect(try await HandlerRun().run("ulimit -n; ", "limits: {open_files: 64}") == "64")
        #expect(try await HandlerRun().run("ulimit -v", "limits: {memory: 64M}") == "65536")
        let failure = await HandlerRun().failure("while :; do :; done", "limits: {cpu_seconds: 1}")
        #expect(failure?.message.contains("signal") == true)
    }

    @Test(.enabled("only root can give a program another user") { geteuid() == 0 })
    func `a program runs as its user, in that one's groups alone`() async throws {
        let run = HandlerRun()
        let text = try await run.run(
            "cat /etc/shadow 2>/dev/null && exit 65; echo \"[$(id -u), $(id -g), \\\"$(id -G)\\\", \\\"$USER\\\", \\\"$HOME\\\"]\"",
            "user: nobody\ndirectory: /")
        let entry = try #require(getpwnam("nobody")).pointee
        #expect(
            text
                == "[\(entry.pw_uid), \(entry.pw_gid), \"\(entry.pw_gid)\", \"nobody\", \"\(String(cString: entry.pw_dir))\"]"
        )
        #expect(await run.failure("true", "user: nobody-of-this-name")?.message.contains("not known") == true)
    }
}
