import Logging
import Postgres

/// Stores the sums of what ran, ten seconds after the first of it: an idle worker stores nothing.
final class RunRecorder: Sendable {
    private static let pause = Duration.seconds(10)
    private let tally: RunTally
    private let store: JobStore
    private let logger: Logger

    init(tally: RunTally, store: JobStore, logger: Logger) {
        self.tally = tally
        self.store = store
        self.logger = logger
    }

    /// Until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            await tally.waitForSomething()
            do { try await Task.sleep(for: Self.pause) } catch { return }
            await record()
        }
    }

    /// Stores what is left.
    func stop() async { await record() }

    private func record() async {
        let sums = tally.take()
        guard !sums.isEmpty else { return }
        do throws(PostgresError) {
            try await store.addFigures(sums)
        } catch {
            logger.debug("figures of runs were not stored", metadata: ["ERROR": "\(error)"])
            // After a lost connection they may be there already: counted twice they would be wrong, and ten seconds of
            // a chart are the smaller loss.
            if error.reason == .unreachable || error.sqlState != nil && error.isTransient { tally.putBack(sums) }
        }
    }
}
