import FoundationEssentials
import Glibc

/// The program that answers like Apollo.io's API, run beside this process.
package final class Standin: Sendable {
    /// Without a trailing slash, on 127.0.0.1.
    package let url: String
    private let process: TiedProcess

    private init(url: String, process: TiedProcess) {
        self.url = url
        self.process = process
    }

    /// Starts it on a free port.
    /// - Parameters:
    ///   - perMinute: Requests a key may make in a minute; 0 for no limit.
    ///   - program: Its path; without one it is looked for beside this program, then in `PATH`.
    package static func start(
        latency: Duration = .zero, perMinute: Int = 0, program: String? = nil
    ) async throws -> Standin {
        let program = try program ?? find()
        let milliseconds = Int((latency / .milliseconds(1)).rounded())
        let process = TiedProcess([
            program, "--port", "0", "--latency-ms", String(milliseconds), "--per-minute", String(perMinute),
        ])
        for await line in process.lines {
            guard let start = line.firstRange(of: "listening on ") else { continue }
            return Standin(url: String(line[start.upperBound...]), process: process)
        }
        throw DevelopmentError("\(program) ended before it listened")
    }

    package func stop() async {
        process.send(.terminate)
        await process.ended()
    }

    private static func find() throws(DevelopmentError) -> String {
        let name = "apollo-standin"
        var folders = ["/usr/lib/jobworker"]
        if let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") {
            folders.insert(String(own[..<(own.lastIndex(of: "/") ?? own.startIndex)]), at: 0)
        }
        folders += (getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":").map(String.init)
        for folder in folders where access("\(folder)/\(name)", X_OK) == 0 { return "\(folder)/\(name)" }
        throw DevelopmentError(
            "\(name), the stand-in for Apollo.io, is not beside this program nor in PATH; build it: swift build --product \(name)")
    }
}
