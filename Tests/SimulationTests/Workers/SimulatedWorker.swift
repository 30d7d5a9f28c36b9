import Postgres
import Support

@testable import JobWorker

/// A process: the loops of `JobWorker` as turns that events cause, around the values that decide.
final class SimulatedWorker {
    enum Phase { case connecting, working, draining, stopped }

    unowned let simulation: Simulation
    let id: String
    let instance: Int
    let configuration: WorkerConfiguration
    var runs: Runs
    var plan: PollPlan
    var contact = WorkerState.Snapshot()
    var executions: [Claim: Execution] = [:]
    var phase = Phase.connecting
    private(set) var isAlive = true
    var pausedUntil = 0
    /// Its own way to the database is broken until then.
    var cutOffUntil = 0
    /// When something last happened to this process alone.
    private(set) var disturbedAt = -1_000_000

    // The poller's.
    var isLooking = false
    var isAsked = false
    var looksAgainAt = 0
    var pollBackoff = Backoff()
    var pollTimer = Int.max
    // The heartbeat's.
    var isBeating = false
    var mustBeat = false
    var nextBeat = 0
    var watchTimer = Int.max
    // The completer's.
    var outbox: [(execution: Execution, outcome: Outcome, end: ProcessorEnd)] = []
    var isStoring = false
    var isGivenUp = false
    var storeBackoff = Backoff()
    /// When a slot became free that still is.
    var freeSince = 0

    init(process: Int, instance: Int, in simulation: Simulation) {
        self.simulation = simulation
        self.instance = instance
        id = "w\(instance).\(process)"
        let scenario = simulation.scenario
        var configuration = WorkerConfiguration(workerID: id)
        configuration.maxConcurrent = scenario.slots
        configuration.pollInterval = .milliseconds(scenario.pollInterval)
        configuration.heartbeatInterval = .milliseconds(scenario.heartbeatInterval)
        configuration.staleAfter = .milliseconds(scenario.staleAfter)
        configuration.jobTimeout = .milliseconds(scenario.jobTimeout)
        configuration.cancellationGrace = .milliseconds(scenario.grace)
        configuration.shutdownTimeout = .milliseconds(scenario.shutdownTimeout)
        configuration.retry = RetryPolicy(
            delayBase: .milliseconds(scenario.delays.base), delayMax: .milliseconds(scenario.delays.max))
        self.configuration = configuration
        runs = Runs(limit: configuration.maxConcurrent)
        plan = PollPlan(now: simulation.instant)
    }

    var asWorker: JobsTable.Worker { JobsTable.Worker(id: id, instance: "\(instance)") }

    // MARK: Start

    /// Registers itself, takes back what an earlier process of the instance left, however long that takes; then works.
    func prepare() {
        guard phase == .connecting else { return }
        simulation.send("register", of: self) { [self] in
            .success(simulation.change(.register) { $0.register(asWorker) })
        } reply: { [self] result in
            guard phase == .connecting else { return }
            switch result {
            case .success: takeBackPredecessors()
            case .failure: prepareAgain()
            }
        }
    }

    private func prepareAgain() {
        _ = contact.failed("gone", now: simulation.instant)
        simulation.after(500, of: self) { self.prepare() }
    }

    private func takeBackPredecessors() {
        simulation.send("take_back", of: self) { [self] in
            .success(
                simulation.change(.takeBack(self)) {
                    $0.takeBackPredecessors(
                        of: asWorker, delays: simulation.scenario.delays, random: simulation.dice.share(),
                        now: simulation.now
                    ).count
                })
        } reply: { [self] result in
            guard phase == .connecting else { return }
            switch result {
            case .success:
                _ = contact.answered(now: simulation.instant)
                phase = .working
                freeSince = simulation.now
                nextBeat = simulation.now + simulation.scenario.heartbeatInterval
                turnPoller()
                scheduleBeat()
            case .failure: prepareAgain()
            }
        }
    }

    // MARK: What happens to it

    func die() {
        isAlive = false
        phase = .stopped
        for execution in executions.values { execution.die() }
    }

    func pause(until time: Int) {
        pausedUntil = max(pausedUntil, time)
        disturbedAt = max(disturbedAt, pausedUntil)
    }

    func cutOff(until time: Int) {
        cutOffUntil = max(cutOffUntil, time)
        disturb()
        simulation.at(cutOffUntil, of: self) { self.listensAgain() }
    }

    func disturb() { disturbedAt = max(disturbedAt, simulation.now, cutOffUntil) }

    /// What was announced while nobody listened is only in the table.
    func listensAgain() {
        guard isAlive, cutOffUntil <= simulation.now, pausedUntil <= simulation.now else { return }
        wake()
        beatNow()
    }

    func wake() {
        plan.wake(now: simulation.instant)
        turnPoller()
    }

    /// Somebody asks for a look.
    func ask() {
        guard isAlive, phase == .working else { return }
        isAsked = true
        turnPoller()
    }
}
