import Terminal
import UnixSignals

/// Ctrl-C, and SIGTERM, from the moment that this is made.
private struct Interruptions: Sendable {
    private let signals: UnixSignalsSequence

    init() async { signals = await UnixSignalsSequence(trapping: .sigint, .sigterm) }

    /// Returns at the first one, or when the task is cancelled.
    func first() async {
        for await _ in signals {
            // Below the ^C that the terminal shows.
            if Output.error.isTerminal { Output.error.write("\n") }
            return
        }
    }
}

/// Runs something that ends with Ctrl-C, as it is meant to: watching and following.
///
/// - Throws: What `body` throws, unless it was interrupted.
package func untilInterrupted(_ body: @escaping @MainActor @Sendable () async throws -> Void) async throws {
    let interruptions = await Interruptions()
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await body() }
        tasks.addTask { await interruptions.first() }
        defer { tasks.cancelAll() }
        try await tasks.next()
    }
}

/// Runs something that Ctrl-C ends before its time: its task is cancelled, and its end waited for.
package func cancelledIfInterrupted<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) async -> Value {
    let interruptions = await Interruptions()
    let work = Task { await body() }
    let watch = Task {
        await interruptions.first()
        work.cancel()
    }
    defer { watch.cancel() }
    return await work.value
}
