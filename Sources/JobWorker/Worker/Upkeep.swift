import Logging
import Postgres
import Synchronization

/// Carries out operations on many jobs bit by bit, and takes finished jobs that are old enough.
///
/// Several workers may do so at once: an operation is stepped by one at a time and hardly oftener than by a single worker,
/// and what one retires another skips.
/// Neither asks the database anything while there is nothing to do.
final class Upkeep: Sendable {
    private let store: JobStore
    private let state: WorkerState
    private let logger: Logger
    private let configuration: @Sendable () -> WorkerConfiguration
    private let wakeup = Wakeup()
    private let operations = Mutex(Operations())

    private struct Operations {
        /// Some may wait for a step.
        var areKnown = false
        /// Somebody told of one since the last step: just begun, it need not be due.
        var areNew = false
    }

    /// Between two steps of operations; of one operation nearly as much, whoever takes them.
    private static let stepPause = Duration.milliseconds(100)
    private static let stepRest = Duration.milliseconds(80)
    /// Jobs that one look of retention sees. Their rows are locked for some ten milliseconds.
    private static let batch = 200
    /// Retention works a tenth of the time at most: claims don't wait behind it.
    private static let restFactor = 9
    private static let restMin = Duration.milliseconds(20)
    /// Between two walks through what is old.
    private static let walkPause = 300.0...600.0

    init(
        store: JobStore, state: WorkerState, logger: Logger,
        configuration: @escaping @Sendable () -> WorkerConfiguration
    ) {
        self.store = store
        self.state = state
        self.logger = logger
        self.configuration = configuration
    }

    func stop() { wakeup.close() }

    /// A look found operations that run, or somebody began one.
    func hearOperations() {
        let isNew = operations.withLock { operations in
            operations.areNew = true
            defer { operations.areKnown = true }
            return !operations.areKnown
        }
        if isNew { wakeup.raise() }
    }

    /// Until `stop()` or the task's cancellation.
    func run() async {
        var nextWalk = ContinuousClock.now + configuration().retentionDelay
        var place: RetirementPlace?
        var gone = 0
        var backoff = Backoff()
        var promptness = Promptness()
        var nextStep = ContinuousClock.now, nextLook = nextWalk
        while !wakeup.isClosed, !Task.isCancelled {
            let isStepping = operations.withLock { $0.areKnown }
            await wakeup.wait(until: isStepping ? min(nextStep, nextLook) : nextLook)
            guard !wakeup.isClosed, !Task.isCancelled else { break }
            do throws(PostgresError) {
                if operations.withLock({ $0.areKnown }), ContinuousClock.now >= nextStep {
                    // First, so that what is begun meanwhile is heard of.
                    let areNew = operations.withLock { operations in
                        defer { operations = Operations() }
                        return operations.areNew
                    }
                    let step = try await store.stepOperations(after: Self.stepRest)
                    if step.hasMore { operations.withLock { $0.areKnown = true } }
                    // In vain where others see to them; not where there is nothing to see to.
                    if step.isTaken || step.hasMore && !areNew { promptness.looked(found: step.isTaken) }
                    nextStep = .now + promptness.stretched(Self.stepPause) * Double.random(in: 0.8..<1.2)
                }
                if ContinuousClock.now >= nextLook {
                    let settings = configuration()
                    let days = settings.retentionDays
                    guard days.values.contains(where: { $0 > 0 }) else {
                        nextLook = .now + .seconds(60)
                        continue
                    }
                    let began = ContinuousClock.now
                    let found = try await store.retire(
                        days, archives: settings.archives, from: place ?? RetirementPlace(), batch: Self.batch)
                    gone += found.retired
                    if found.looked < Self.batch {
                        if gone > 0 { logger.log(.jobsRetired, metadata: ["JOBS": "\(gone)"]) }
                        try await store.clearOperations()
                        (place, gone) = (nil, 0)
                        nextWalk = .now + .seconds(Double.random(in: Self.walkPause))
                        nextLook = nextWalk
                    } else {
                        place = found.place
                        let took = ContinuousClock.now - began
                        nextLook = .now + max(Self.restMin, took * Self.restFactor)
                    }
                }
                backoff.reset()
            } catch {
                if Task.isCancelled { break }
                if error.isTransient {
                    if state.reportOutage(error) { logger.log(.databaseLost, metadata: ["ERROR": "\(error)"]) }
                } else {
                    logger.log(.upkeepFailed, metadata: ["ERROR": "\(error)"])
                }
                let pause = ContinuousClock.now + max(backoff.next(), .seconds(1))
                (nextStep, nextLook) = (max(nextStep, pause), max(nextLook, pause))
                // The next timer's look tells again whether there are any.
            }
        }
    }
}
