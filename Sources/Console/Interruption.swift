import Terminal
import UnixSignals

/// Runs something that Ctrl-C, or SIGTERM, ends before its time: its task is cancelled, and its end waited for.
package func cancelledIfInterrupted<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) async -> Value {
    let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
    let work = Task { await body() }
    let watch = Task {
        for await _ in signals {
            // Below the ^C that the terminal shows.
            if Output.error.isTerminal { Output.error.write("\n") }
            work.cancel()
        }
    }
    defer { watch.cancel() }
    return await work.value
}

/// Runs something that ends with Ctrl-C, as it is meant to: watching and following.
///
/// - Throws: What `body` throws, unless it was interrupted.
package func untilInterrupted(_ body: @escaping @MainActor @Sendable () async throws -> Void) async throws {
    let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await body() }
        tasks.addTask {
            for await _ in signals {
                // Below the ^C that the terminal shows.
                if Output.error.isTerminal { Output.error.write("\n") }
                return
            }
        }
        defer { tasks.cancelAll() }
        try await tasks.next()
    }
}
