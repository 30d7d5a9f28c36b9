import Development
import Glibc

/// A running `apollo-standin`. It ends with `stop()`, at the latest with the test process.
package final class ApolloStandin: Sendable {
    /// Such as `http://127.0.0.1:4711`.
    package let url: String
    private let process: TiedProcess

    private init(url: String, process: TiedProcess) {
        self.url = url
        self.process = process
    }

    /// Starts it on a free port.
    /// - Parameter arguments: As `apollo-standin --help` tells.
    /// - Returns: When it accepts requests.
    package static func start(_ arguments: [String] = []) async throws -> ApolloStandin {
        let process = TiedProcess([BuiltProgram.path("apollo-standin")] + arguments)
        let prefix = "listening on "
        for await line in process.lines where line.hasPrefix(prefix) {
            return ApolloStandin(url: String(line.dropFirst(prefix.count)), process: process)
        }
        throw DevelopmentError("apollo-standin ended with \(await process.ended() ?? -1) before it listened")
    }

    package func stop() async {
        process.send(.terminate)
        await process.ended()
    }

    /// Lends a running one to `body`.
    package static func with<Value>(
        _ arguments: [String] = [], _ body: (ApolloStandin) async throws -> Value
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
}

/// A program of this package, which lies beside the test program.
package enum BuiltProgram {
    package static func path(_ name: String) -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &buffer, buffer.count)
        let own = String(decoding: buffer.prefix(max(length, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return own.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/" + name
    }
}
