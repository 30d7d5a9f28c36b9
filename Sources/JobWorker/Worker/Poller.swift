import Logging
import Postgres
import Synchronization

/// Looks for due jobs: when a slot is free and something woke it, and at the latest after the poll interval.
///
/// One claim is under way at a time. Wake-ups that come meanwhile cause one more look, however many they are.
final class Poller: Sendable {
    private struct Wishes {
        var plan = PollPlan(now: .now)
        /// Callers that wait for a look that begins after they came.
        var callers: [CheckedContinuation<PollOutcome, Never>] = []
        var isStopping = false
        var countsAtPoll = WorkerState.Counts()
    }

    /// What a look found, for a caller that asked for it.
    struct PollOutcome: Sendable {
        var claims: Set<Claim> = []
        var isSaturated = false
        var error: String?
        /// What had been counted at the look before.
        var countsBefore = WorkerState.Counts()
    }

    private let running: RunningJobs
    private let store: JobStore
    private let state: WorkerState
    private let logger: Logger
    private let wishes = Mutex(Wishes())
    private let wakeup = Wakeup()
    private let configuration: @Sendable () -> WorkerConfiguration
    private let jobTypes: @Sendable () -> [String]

    /// Pause after a look that found nothing, so that a storm of notifications causes no storm of looks.
    private static let restBetweenLooks = Duration.milliseconds(2)

    init(
        running: RunningJobs, store: JobStore, state: WorkerState, logger: Logger,
        configuration: @escaping @Sendable () -> WorkerConfiguration, jobTypes: @escaping @Sendable () -> [String]
    ) {
        self.running = running
        self.store = store
        self.state = state
        self.logger = logger
        self.configuration = configuration
        self.jobTypes = jobTypes
    }

    // MARK: Waking

    /// Something may be due.
    func wake() {
        wishes.withLock { $0.plan.wake() }
        wakeup.raise()
    }

    /// A slot has become free: worth a look if the last one left something behind.
    func slotFreed() {
        let mustLook = wishes.withLock { $0.plan.slotFreed() }
        if mustLook { wakeup.raise() }
    }

    /// No look begins any more.
    func stop() {
        let callers = wishes.withLock { wishes in
            wishes.isStopping = true
            defer { wishes.callers = [] }
            return wishes.callers
        }
        for caller in callers { caller.resume(returning: PollOutcome(error: "the worker is stopping")) }
        wakeup.close()
    }

    /// Looks now.
    func look() async -> PollOutcome {
        await withCheckedContinuation { continuation in
            let isStopping = wishes.withLock { wishes in
                if !wishes.isStopping { wishes.callers.append(continuation) }
                return wishes.isStopping
            }
            if isStopping { continuation.resume(returning: PollOutcome(error: "the worker is stopping")) }
            wakeup.raise()
        }
    }

    // MARK: The loop

    /// Polls until `stop()` or the task's cancellation; hands each claimed job to `start`.
    func run(start: (ClaimedJob) -> Void) async {
        var backoff = Backoff()
        var lastLook = ContinuousClock.now
        while !wakeup.isClosed, !Task.isCancelled {
            let free = running.free
            let action = wishes.withLock { $0.plan.action(now: .now, isAsked: !$0.callers.isEmpty, free: free) }
            if case .wait(let nextPoll) = action {
                state.willTurn(.poller, within: (nextPoll - .now) + .seconds(90))
                await wakeup.wait(until: nextPoll)
                // Notifications come in bursts: let them gather.
                if lastLook + Poller.restBetweenLooks > .now {
                    try? await Task.sleep(until: lastLook + Poller.restBetweenLooks, clock: .continuous)
                }
                continue
            }
            state.willTurn(.poller, within: .seconds(120))
            do throws(PostgresError) {
                let claimed = action == .poll ? try await poll() : try await claim()
                for job in claimed { start(job) }
                backoff.reset()
                lastLook = .now
            } catch {
                if Task.isCancelled { break }
                report(error)
                await pause(backoff.next())
            }
        }
    }

    /// The poll interval, shortened by up to a fifth at random so that many workers don't keep step.
    private func pause() -> Duration {
        configuration().pollInterval * (1 - 0.2 * Double.random(in: 0..<1))
    }

    private func pause(_ duration: Duration) async {
        let end = ContinuousClock.now + duration
        while ContinuousClock.now < end, !wakeup.isClosed, !Task.isCancelled {
            await wakeup.wait(until: end)
            // Asking harder doesn't bring the database back.
            if !wakeup.isClosed { try? await Task.sleep(until: min(end, .now + .milliseconds(20)), clock: .continuous) }
        }
    }

    private func report(_ error: PostgresError) {
        if state.reportOutage(error) {
            logger.log(.databaseLost, metadata: ["ERROR": "\(error)"])
        }
        let callers = wishes.withLock { wishes in
            defer { wishes.callers = [] }
            return wishes.callers
        }
        for caller in callers { caller.resume(returning: PollOutcome(error: "\(error)")) }
    }

    // MARK: Looking

    private func claim() async throws(PostgresError) -> [ClaimedJob] {
        state.metrics.polled(.wake)
        let request = claimRequest()
        wishes.withLock { $0.plan.lookBegins() }
        let askedAt = ContinuousClock.now
        do throws(PostgresError) {
            let claimed = try await store.claim(request)
            admit(claimed, request: request, askedAt: askedAt)
            return claimed
        } catch {
            wishes.withLock { $0.plan.lookFailed() }
            throw error
        }
    }

    /// The timer's look: presence, reaping and a claim in one statement.
    private func poll() async throws(PostgresError) -> [ClaimedJob] {
        let configuration = configuration()
        let request = claimRequest()
        let callers = wishes.withLock { wishes in
            wishes.plan.lookBegins()
            return wishes.callers.count
        }
        let reaping = ReapRequest(
            staleAfter: configuration.staleAfter, jobTypes: request.jobTypes, retry: configuration.retry,
            isAllowed: state.snapshot.mayReap(configuration, now: .now))
        let askedAt = ContinuousClock.now
        let answer: PollAnswer
        do throws(PostgresError) {
            answer = try await store.poll(
                request, presence: presence(configuration, jobTypes: request.jobTypes), reaping: reaping)
        } catch {
            wishes.withLock { $0.plan.lookFailed() }
            throw error
        }
        state.update { snapshot in
            snapshot.polled(
                at: answer.now, serverStartedAt: answer.serverStartedAt, askedAt: askedAt, configuration, now: .now)
            snapshot.counts.reaped += answer.reaped
        }
        state.metrics.tookBack(answer.reaped)
        state.metrics.polled(callers > 0 ? .request : .timer)
        if answer.reaped > 0 {
            logger.log(.jobsTakenBack, metadata: ["JOBS": "\(answer.reaped)"])
        }
        for id in answer.takenBack.poisoned { logger.log(.jobPoisoned, metadata: ["JOB_ID": "\(id)"]) }
        admit(answer.claimed, request: request, askedAt: askedAt)
        answerCallers(callers, answer.claimed, request)
        let (isReapingDone, pause) = (answer.reaped < reaping.batch, self.pause())
        wishes.withLock { $0.plan.polled(isReapingDone: isReapingDone, now: .now, pause: pause) }
        return answer.claimed
    }

    private func admit(_ claimed: [ClaimedJob], request: ClaimRequest, askedAt: ContinuousClock.Instant) {
        if state.reportAnswer() { logger.log(.databaseFound) }
        let configuration = configuration()
        running.admit(
            claimed, timeout: configuration.jobTimeout, staleAfter: configuration.staleAfter, askedAt: askedAt)
        state.count { $0.claimed += claimed.count }
        wishes.withLock { $0.plan.looked(for: request, claimed: claimed) }
    }

    private func answerCallers(_ count: Int, _ claimed: [ClaimedJob], _ request: ClaimRequest) {
        let counts = state.snapshot.counts
        let (callers, before) = wishes.withLock { wishes in
            let callers = Array(wishes.callers.prefix(count))
            wishes.callers.removeFirst(callers.count)
            defer { wishes.countsAtPoll = counts }
            return (callers, wishes.countsAtPoll)
        }
        let outcome = PollOutcome(
            claims: Set(claimed.map(\.claim)), isSaturated: request.limit == 0, countsBefore: before)
        for caller in callers { caller.resume(returning: outcome) }
    }

    private func claimRequest() -> ClaimRequest {
        ClaimRequest(configuration(), jobTypes: jobTypes(), runs: running.runs)
    }

    func presence(_ configuration: WorkerConfiguration, jobTypes: [String]) -> WorkerPresence {
        WorkerPresence(
            id: configuration.workerID, instance: configuration.instance, host: configuration.host,
            machineID: configuration.machineID, pid: configuration.pid, version: configuration.version,
            queues: configuration.queues.map(\.name), jobTypes: jobTypes,
            maxConcurrent: configuration.maxConcurrent, running: running.count)
    }
}
