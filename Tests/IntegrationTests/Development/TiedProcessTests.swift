import Development
import FoundationEssentials
import Glibc
import Support
import Testing

@Suite struct TiedProcessTests {
    @Test func `a program's lines come as they are written, and its exit status`() async {
        let process = TiedProcess(["sh", "-c", "echo one; echo two; exit 7"])
        var lines: [String] = []
        for await line in process.lines { lines.append(line) }
        #expect(lines == ["one", "two"])
        #expect(await process.ended() == 7)
    }

    @Test func `a stop signal reaches the program itself`() async {
        let process = TiedProcess([
            "sh", "-c", "trap 'echo told; exit 5' INT; echo ready; while :; do sleep 0.05; done",
        ])
        var lines = process.lines.makeAsyncIterator()
        #expect(await lines.next() == "ready")
        process.send(.interrupt)
        #expect(await lines.next() == "told")
        #expect(await process.ended() == 5)
    }

    @Test func `when its owner is gone, a program ends and its folder is removed`() async throws {
        let folder = "/tmp/jobworker-tied-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let process = TiedProcess(
            ["sh", "-c", "echo $$; exec sleep 1000"], orphaning: TiedProcess.Orphaning(removes: [folder]))
        var lines = process.lines.makeAsyncIterator()
        let pid = try #require(await lines.next().flatMap { pid_t($0) })
        process.letGo()
        #expect(await process.ended() == 128 + SIGTERM)
        #expect(kill(pid, 0) == -1)
        #expect(!FileManager.default.fileExists(atPath: folder))
    }

    @Test func `a program that doesn't exist ends with 127`() async {
        #expect(await TiedProcess(["/no/such/program"]).ended() == 127)
    }
}
