import Logging
import Postgres
import Synchronization

/// Looks for due jobs: when a slot is free and something woke it, and at the latest after the poll interval.
///
/// One look of its own is under way at a time. Wake-ups that come meanwhile cause one more, however many they are.
final class Poller: Sendable {
    private struct Wishes {
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

    let intake: Intake
    let ticker: Ticker
    private let deliverer: Deliverer?
    let upkeep: Upkeep
    let alarm: Alarm
    private let running: RunningJobs
    private let store: JobStore
    private let state: WorkerState
    private let logger: Logger
    private let channel: String
    private let wishes = Mutex(Wishes())
    private let wakeup = Wakeup()
    private let configuration: @Sendable () -> WorkerConfiguration

    /// Pause after a look that found nothing, so that a storm of notifications causes no storm of looks.
    private static let restBetweenLooks = Duration.milliseconds(2)

    /// - Parameter channel: On which this process listens for wake-ups.
    init(
        running: RunningJobs, store: JobStore, state: WorkerState, logger: Logger, channel: String,
        deliverer: Deliverer?, beat: Wakeup, configuration: @escaping @Sendable () -> WorkerConfiguration,
        types: @escaping @Sendable () -> ServedTypes
    ) {
        intake = Intake(
            running: running, wakeup: wakeup, beat: beat, configuration: configuration, types: types)
        self.deliverer = deliverer
        ticker = Ticker(store: store, state: state, logger: logger)
        upkeep = Upkeep(store: store, state: state, logger: logger, configuration: configuration)
        alarm = Alarm(store: store, state: state, logger: logger, configuration: configuration)
        self.running = running
        self.store = store
        self.state = state
        self.logger = logger
        self.channel = channel
        self.configuration = configuration
    }

    // MARK: Asking

    /// No look begins any more.
    func stop() {
        let callers = wishes.withLock { wishes in
            wishes.isStopping = true
            defer { wishes.callers = [] }
            return wishes.callers
        }
        for caller in callers { caller.resume(returning: PollOutcome(error: "the worker is stopping")) }
        wakeup.close()
        intake.stop()
        ticker.stop()
        upkeep.stop()
        alarm.stop()
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

    // MARK: Hearing

    /// Something may be due. A job by itself is claimed at once, by the thread that heard of it: the loop would have to
    /// be woken first. What is told meanwhile waits for that, and is left to the loop.
    func hear(_ announcement: DueAnnouncement) async {
        guard intake.hear(announcement) else {
            // Whoever inserted it did so before this worker stopped, and committed after: the loop has ended.
            if wakeup.isClosed { try? await passOn(intake.takeMissed()) }
            return
        }
        // What went wrong the loop tells, which tries again.
        let isClaimed = (try? await claim()) ?? false
        if !isClaimed { wakeup.raise() }
    }

    // MARK: The loop

    /// Polls until `stop()` or the task's cancellation.
    func run() async {
        var backoff = Backoff()
        var lastLook = ContinuousClock.now
        while !wakeup.isClosed, !Task.isCancelled {
            let isAsked = wishes.withLock { !$0.callers.isEmpty }
            let action = intake.action(isAsked: isAsked)
            if case .wait(let moment) = action {
                state.willTurn(.poller, within: (moment - .now) + .seconds(90))
                await wakeup.wait(until: moment)
                // Notifications come in bursts: let them gather.
                if lastLook + Poller.restBetweenLooks > .now {
                    try? await Task.sleep(until: lastLook + Poller.restBetweenLooks, clock: .continuous)
                }
                continue
            }
            state.willTurn(.poller, within: .seconds(120))
            do throws(PostgresError) {
                switch action {
                case .poll: try await poll()
                case .search:
                    try await search()
                    if try await !claim() { await wakeup.wait(until: .now + Poller.restBetweenLooks) }
                case .claim: if try await !claim() { await wakeup.wait(until: .now + Poller.restBetweenLooks) }
                case .attend(let isAttending): try await attend(isAttending)
                case .wait: break
                }
                backoff.reset()
                if case .attend = action { continue }
                lastLook = .now
            } catch {
                if Task.isCancelled { break }
                report(error)
                await pause(backoff.next())
            }
        }
        intake.stop()
        // Who waits for a stopping worker would wait in vain.
        if intake.isAttending || intake.hasMissed { await withTimeLimit(.seconds(1)) { try? await self.attend(false) } }
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

    /// - Returns: `false` where no claim may begin now.
    private func claim() async throws(PostgresError) -> Bool {
        guard let claiming = intake.begin(everywhere: false) else { return false }
        state.metrics.polled(.wake)
        do throws(PostgresError) {
            let careful = claiming.isCareful ? try await store.claimCarefully(claiming.request) : nil
            let claimed = if let careful { careful.claimed } else { try await store.claim(claiming.request) }
            admit(claimed)
            intake.end(claiming, claimed: claimed, careful: careful)
            return true
        } catch {
            intake.fail(claiming)
            throw error
        }
    }

    /// Finds out where jobs may be, and when the next becomes due.
    private func search() async throws(PostgresError) {
        let began = ContinuousClock.now
        intake.searchBegins()
        let survey = try await store.lanes(of: intake.queues)
        intake.searched(survey, took: .now - began)
    }

    /// The timer's look: presence, reaping, a claim and when the next schedule, delivery and job are due, in one statement.
    private func poll() async throws(PostgresError) {
        let configuration = configuration()
        guard let claiming = intake.begin(everywhere: true) else { return }
        let (request, types) = (claiming.request, intake.types())
        let callers = wishes.withLock { $0.callers.count }
        let reaping = ReapRequest(
            staleAfter: configuration.staleAfter, jobTypes: types.names, retry: configuration.retry,
            isAllowed: state.snapshot.mayReap(configuration, now: .now))
        let askedAt = ContinuousClock.now
        let answer: PollAnswer
        do throws(PostgresError) {
            answer = try await store.poll(
                request, presence: presence(configuration, types: types),
                attention: intake.isAttending ? attention : nil, reaping: reaping,
                alertInterval: configuration.alerts.interval)
        } catch {
            intake.fail(claiming)
            throw error
        }
        ticker.hear(next: answer.nextSchedule, now: answer.now)
        deliverer?.hear(next: answer.nextDelivery, now: answer.now)
        if answer.hasOperations { upkeep.hearOperations() }
        alarm.hear(isLookDue: answer.isAlertLookDue)
        state.update { snapshot in
            snapshot.polled(
                at: answer.now, serverStartedAt: answer.serverStartedAt, askedAt: askedAt, configuration, now: .now)
            snapshot.counts.reaped += answer.reaped
            snapshot.openAlerts = answer.openAlerts
        }
        state.metrics.tookBack(answer.reaped)
        state.metrics.polled(callers > 0 ? .request : .timer)
        if answer.reaped > 0 {
            logger.log(.jobsTakenBack, metadata: ["JOBS": "\(answer.reaped)"])
        }
        for id in answer.takenBack.poisoned { logger.log(.jobPoisoned, metadata: ["JOB_ID": "\(id)"]) }
        admit(answer.claimed)
        intake.polled(
            isReapingDone: answer.reaped < reaping.batch, pause: pause(),
            nextDue: answer.nextDue?.duration(since: answer.now))
        let survey = LaneSurvey(
            lanes: answer.lanes, ruledQueues: answer.ruledQueues, nextDue: answer.nextDue, now: answer.now)
        intake.end(claiming, claimed: answer.claimed, everything: survey)
        // After the runs are counted: callers wait for them.
        answerCallers(callers, answer.claimed, request)
        // What became due by it is announced.
        if answer.hasBacklog { try await store.settleBacklog() }
        // As two that turned away at once may each have seen the other, announcements may still go to nobody.
        if !intake.isAttending { try await store.turnAway(workerID: configuration.workerID) }
    }

    private func admit(_ claimed: [ClaimedJob]) {
        if state.reportAnswer() { logger.log(.databaseFound) }
        state.count { $0.claimed += claimed.count }
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

    // MARK: Waiting

    private var attention: Attention {
        let configuration = configuration()
        return Attention(
            workerID: configuration.workerID, channel: channel, queues: configuration.queues.map(\.name),
            jobTypes: intake.types().names, lasting: configuration.pollInterval * 3,
            interval: configuration.pollInterval)
    }

    private func attend(_ isAttending: Bool) async throws(PostgresError) {
        // Whatever becomes of the answer: the announcements may have ceased by then.
        defer { if !isAttending { intake.attended(false) } }
        if isAttending {
            try await store.attend(attention)
            intake.attended(true)
        } else {
            try await store.turnAway(workerID: configuration().workerID)
            // What comes from here on is told to others. One that has room looks for it itself.
            if running.isFull || wakeup.isClosed { try await passOn(intake.takeMissed()) }
        }
    }

    private func passOn(_ missed: [DueAnnouncement]) async throws(PostgresError) {
        guard !missed.isEmpty else { return }
        do throws(PostgresError) {
            try await store.passOn(missed)
        } catch {
            intake.putBack(missed)
            throw error
        }
    }

    func presence(_ configuration: WorkerConfiguration, types: ServedTypes) -> WorkerPresence {
        WorkerPresence(
            id: configuration.workerID, instance: configuration.instance, host: configuration.host,
            machineID: configuration.machineID, pid: configuration.pid, version: configuration.version,
            queues: configuration.queues.map(\.name), jobTypes: types.names,
            operatorTypes: types.forOperatorsOnly, maxConcurrent: configuration.maxConcurrent, running: running.count)
    }
}
