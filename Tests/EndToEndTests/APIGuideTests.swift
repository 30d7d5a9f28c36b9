import Development
import FoundationEssentials
import Glibc
import JobWorker
import Support
import Testing

/// The examples of docs/api.md, run as they stand against a worker.
@Suite(.database(), .timeLimit(.minutes(3))) struct APIGuideTests {
    let database = TestDatabase.current

    private static func guide() throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return String(decoding: try Data(contentsOf: root.appending(path: "docs/api.md")), as: UTF8.self)
    }

    /// A port that was free a moment ago.
    private static func freePort() -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = bind(descriptor, address, length)
                _ = getsockname(descriptor, address, &length)
            }
        }
        return Int(in_port_t(bigEndian: address.sin_port))
    }

    @Test func `every example with curl works, and every route is told of`() async throws {
        let address = "127.0.0.1:\(Self.freePort())"
        let key = "k:" + Data(repeating: 7, count: 32).base64EncodedString()
        let daemon = try await RunningDaemon.start(
            database,
            environment: [
                "WORKER_HTTP_LISTEN": address, "WORKER_ENCRYPTION_KEYS": key, "APOLLO_BASE_URL": "http://127.0.0.1:1",
            ])
        let guide = try Self.guide()
        let blocks = try ReadmeBlocks(guide).blocks
        #expect(blocks.count >= 10)
        // One after another in one shell: they build on each other.
        let script = blocks.map { "echo '# line \($0.line)'\n\($0.commands)" }.joined(separator: "\n")
        let (status, output) = await runProgram(
            [
                "env", "JOBWORKER=http://\(address)", "TOKEN=\(RunningDaemon.token)",
                "WORKSPACE=\(TestDatabase.workspace.uuidString.lowercased())", "bash", "-euo", "pipefail", "-c",
                "exec 2>&1\n" + script,
            ])
        #expect(status == 0, "\(output.suffix(2000))")
        #expect(output.contains("event: reset"))

        let document: JSONValue = try JSONText(try await daemon.request("GET", "/openapi.json").body).decode()
        for path in (document["paths"]?.object ?? [:]).keys {
            let parts = path.split(separator: "/").filter { !$0.hasPrefix("{") }
            let last = try #require(parts.last)
            #expect(guide.contains("/\(last)"), "docs/api.md tells nothing of \(path)")
        }
        await daemon.stop()
    }
}
