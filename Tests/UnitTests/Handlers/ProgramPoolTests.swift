import FoundationEssentials
import Glibc
import JobWorker
import Logging
import Support
import Testing

@testable import Handlers

/// Programs that are kept and given one job after another.
@Suite(.timeLimit(.minutes(1))) struct ProgramPoolTests {
    /// Answers each job with its number in the program's life.
    private static let counter = """
        n=0
        while read -r line; do
          n=$((n + 1))
          case "$line" in
            *die*) echo own >&2; exit 3 ;;
            *warn*) echo 'of another job' >&2; printf 'unfinished' >&2; echo '{"result":null}' ;;
            *hang*) sleep 1000 ;;
            *fail*) echo '{"error":"no such thing","permanent":true}' ;;
            *later*) echo '{"error":"busy","retry_in":7}' ;;
            *odd*) echo 'what?' ;;
            *say*) echo '{"log":{"level":"info","message":"said"}}' >&3; echo '{"result":"said"}' ;;
            *) echo "{\\"result\\":[$$,$n]}" ;;
          esac
        done
        """

    private func numbers(_ text: String?) throws -> [Int] { try JSONText(try #require(text)).decode() }

    private func ask(_ processor: ExecProcessor, _ word: String = "x") async throws -> String? {
        let run = HandlerRun(payload: "\"\(word)\"")
        return try await processor.process(run.job, context: run.context)?.text
    }

    private func failure(_ processor: ExecProcessor, _ word: String) async -> JobFailure? {
        do {
            _ = try await ask(processor, word)
            return nil
        } catch { return error as? JobFailure }
    }

    @Test func `one program does one job after another, and a new one follows when it dies`() async throws {
        let processor = try HandlerRun.shell(Self.counter, "pool: 1")
        let first = try numbers(try await ask(processor))
        #expect(try numbers(try await ask(processor)) == [first[0], 2])
        #expect(await failure(processor, "fail")?.kind == .permanent)
        #expect(await failure(processor, "later")?.kind == .snooze(.seconds(7)))
        #expect(try numbers(try await ask(processor)) == [first[0], 5])
        let died = await failure(processor, "die")
        #expect(died?.kind == .retryable)
        #expect(died?.message.contains("status 3 without an answer") == true)
        let next = try numbers(try await ask(processor))
        #expect(next[0] != first[0] && next[1] == 1)
        // Out of step: nobody knows what its next line would belong to.
        #expect(await failure(processor, "odd")?.message.contains("not understood") == true)
        #expect(try numbers(try await ask(processor))[0] != next[0])
        await processor.pool?.close()
        #expect(kill(pid_t(next[0]), 0) != 0)
    }

    @Test func `what is told before an answer belongs to its job`() async throws {
        let processor = try HandlerRun.shell(Self.counter, "pool: 1")
        for _ in 0..<50 {
            let run = HandlerRun(payload: "\"say\"")
            #expect(try await processor.process(run.job, context: run.context)?.text == "\"said\"")
            #expect(run.record.messages == ["said"])
        }
        await processor.pool?.close()
    }

    @Test func `a failure shows what the program said of its own job alone`() async throws {
        let processor = try HandlerRun.shell(Self.counter, "pool: 1")
        #expect(try await ask(processor, "warn") == nil)
        #expect(await failure(processor, "die")?.causes == ["Standard error:", "own"])
        // What it says before its first job is of that one: it may be why it ends.
        let broken = try HandlerRun.shell("echo 'no settings' >&2; read -r line; exit 1", "pool: 1")
        #expect(await failure(broken, "x")?.causes == ["Standard error:", "no settings"])
        await processor.pool?.close()
    }

    /// Keeps whoever reads from a program away until that one has ended. The program tells its number, and then waits
    /// for a file.
    private struct SlowReporter: JobReporter {
        let file: String

        func report(_ progress: JobProgress) async throws {}

        func log(_ entry: JobLogEntry) async throws {
            guard let pid = pid_t(entry.message) else { return }
            try Data().write(to: URL(filePath: file))
            try await eventually("the program has ended") { kill(pid, 0) != 0 }
            // One thread tells all ends: the other one's is told by now.
            _ = try await HandlerRun().run("true")
        }
    }

    @Test func `a program that answers and ends while nobody listens is given no other job`() async throws {
        let file = "/tmp/jobworker-pool-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: file) }
        let processor = try HandlerRun.shell(
            """
            read -r line
            echo "{\\"log\\":{\\"message\\":\\"$$\\"}}" >&3
            while [ ! -e \(file) ]; do sleep 0.01; done
            echo "{\\"result\\":$$}"
            """, "pool: 1")
        let run = HandlerRun()
        let context = JobContext(
            deadline: .now + .seconds(60), logger: Logger(label: "test"), reporter: SlowReporter(file: file))
        let first = try await processor.process(run.job, context: context)?.text
        let second = try await processor.process(run.job, context: context)?.text
        #expect(first != nil && second != nil && first != second)
        await processor.pool?.close()
    }

    @Test func `programs that wait are told to end at the same time, over all pools`() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "jobworker-pool-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        // Told to end, each waits until all have been: told one after the other, the first would be killed.
        let script = """
            trap 'touch \(folder)/told-$$' TERM
            echo ready
            until [ "$(ls \(folder) | grep -c told)" -ge 4 ]; do sleep 0.02; done
            touch \(folder)/ended-$$
            """
        let processors = try (0..<2).map { _ in try HandlerRun.shell(script, "pool: 2") }
        for processor in processors {
            let programs = try (0..<2).map { _ in ProcessThread.shared.start(try processor.launch()) }
            for program in programs {
                _ = await program.next()
                await processor.pool?.give(back: program)
            }
        }
        await HandlerService(tokens: nil, version: "1", credentials: nil).retire(processors)
        let left = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(left.count { $0.hasPrefix("ended") } == 4, "\(left)")
    }

    @Test func `a job that is stopped takes its program along`() async throws {
        let processor = try HandlerRun.shell(Self.counter, "pool: 1")
        let pid = try numbers(try await ask(processor))[0]
        let task = Task { try await ask(processor, "hang") }
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        #expect(kill(pid_t(pid), 0) != 0)
        #expect(try numbers(try await ask(processor))[0] != pid)
        await processor.pool?.close()
    }

    @Test func `a program that rests for long is ended`() async throws {
        let processor = try HandlerRun.shell(Self.counter, "pool: 1\nidle_timeout: 1")
        let pid = try numbers(try await ask(processor))[0]
        let began = ContinuousClock.now
        while kill(pid_t(pid), 0) == 0, ContinuousClock.now - began < .seconds(10) {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(ContinuousClock.now - began > .milliseconds(900))
        #expect(kill(pid_t(pid), 0) != 0)
        #expect(try numbers(try await ask(processor))[1] == 1)
        await processor.pool?.close()
    }
}
