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
    /// - Parameter arguments: As `apollo-standin --help` tells.
    /// - Returns: When it accepts requests.
    package static func start(_ arguments: [String] = []) async throws -> Standin {
        let program = try find()
        let process = TiedProcess([program] + arguments)
        let prefix = "listening on "
        for await line in process.lines where line.hasPrefix(prefix) {
            return Standin(url: String(line.dropFirst(prefix.count)), process: process)
        }
        throw DevelopmentError("\(program) ended with \(await process.ended() ?? -1) before it listened")
    }

    /// Lends a running one to `body`.
    package static func with<Value>(
        _ arguments: [String] = [], _ body: (Standin) async throws -> Value
    ) async throws -> Value {
        let standin = try await start(arguments)
        do {
            let value = try await body(standin)
            await standin.stop()
            return value
        } catch {
            await standin.stop()
            throw error
        }
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
            "\(name), the stand-in for Apollo.io, is not beside this program nor in PATH; build it: swift build --product \(name)"
        )
    }
}
