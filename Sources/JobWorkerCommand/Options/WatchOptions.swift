import ArgumentParser
import Console

/// Showing something again and again.
struct WatchOptions: ParsableArguments {
    @Flag(help: "Show it again and again until Ctrl-C.")
    var watch = false

    @Option(help: ArgumentHelp("Time between two looks.", valueName: "length"), transform: lengthOfTime)
    var interval = Duration.seconds(2)

    func validate() throws {
        guard interval >= .milliseconds(100) else { throw ValidationError("--interval must be at least 100ms.") }
    }

    /// Shows a view once, or until somebody stops it.
    /// - Parameter then: What to say below a view that is shown once.
    @MainActor func show<Shown: View>(
        _ printer: Printer, _ read: @escaping @MainActor @Sendable () async throws -> Shown,
        then: (Shown) -> Void = { _ in }
    ) async throws {
        guard watch else {
            let view = try await read()
            printer.show(view)
            return then(view)
        }
        let interval = interval
        try await untilInterrupted { try await Watching(printer, interval: interval).views(read) }
    }
}
