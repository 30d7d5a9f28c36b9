import FoundationEssentials
import Support

@testable import JobWorker

/// One history: a few workers, one table, clients and faults, all from a seed, in virtual time.
///
/// Workers decide with the product's own values (`Runs`, `PollPlan`, `Outcome`, …); the table is `JobsTable`.
final class Simulation {
    let seed: UInt64
    let scenario: Scenario
    var dice: Dice
    /// Milliseconds; also the clock of the database.
    private(set) var now = 0
    var table = JobsTable()
    var serverStartedAt = -1_000_000
    /// The database answers nobody until then.
    var isAwayUntil = 0
    /// By instance; the latest process of it.
    var workers: [SimulatedWorker] = []
    var processes: [SimulatedWorker] = []
    var observer = Observer()
    private(set) var violation: String?
    /// What happened, for people; only written where somebody wants to read it.
    private(set) var history: [String] = []
    private let isRecording: Bool
    private var queue = EventQueue()
    private let epoch: ContinuousClock.Instant

    init(seed: UInt64, isRecording: Bool = false) {
        self.seed = seed
        self.isRecording = isRecording
        dice = Dice(seed: seed)
        scenario = Scenario(&dice)
        epoch = .now
    }

    /// - Returns: What was violated first; `nil` if nothing was.
    func run() -> String? {
        for instance in 0..<scenario.workers { launch(instance) }
        arrangeClients()
        if !scenario.isFaultless { arrangeFaults() }
        at(scenario.healsAt) { self.heal() }
        if scenario.isFaultless { probe() }
        // Everything that was broken needs its leases to run out, and its delays.
        let end = scenario.healsAt + 10 * scenario.staleAfter
        while violation == nil, let event = queue.removeFirst(), event.time <= end {
            now = max(now, event.time)
            if let process = event.process {
                guard process.isAlive else { continue }
                if process.pausedUntil > now {
                    queue.add(at: process.pausedUntil, of: process, event.action)
                    continue
                }
            }
            event.action()
            if now > scenario.healsAt, isQuiet { break }
        }
        if violation == nil { observer.checkEnd(self) }
        // Its events hold on to this.
        queue = EventQueue()
        return violation
    }

    private var isQuiet: Bool {
        table.rows.allSatisfy { $0.map { $0.status.isFinal && !$0.leaseIsOpen } ?? true }
            && workers.allSatisfy { $0.runs.isEmpty && $0.phase == .working }
    }

    var isHealed: Bool { now >= scenario.healsAt }

    func at(_ time: Int, of process: SimulatedWorker? = nil, _ action: @escaping () -> Void) {
        queue.add(at: max(time, now), of: process, action)
    }

    func after(_ delay: Int, of process: SimulatedWorker? = nil, _ action: @escaping () -> Void) {
        at(now + delay, of: process, action)
    }

    // MARK: Clocks

    /// This moment on the clock that measures durations.
    var instant: ContinuousClock.Instant { epoch + .milliseconds(now) }

    /// The moment on the virtual clock; in between, the later one.
    func time(of instant: ContinuousClock.Instant) -> Int {
        let (seconds, attoseconds) = (instant - epoch).components
        return Int(seconds) * 1000 + Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }

    // MARK: Reports

    func note(_ text: @autoclosure () -> String) {
        guard isRecording else { return }
        history.append("\(Double(now) / 1000) \(text())")
    }

    func violate(_ text: @autoclosure () -> String) {
        guard violation == nil else { return }
        violation = "at \(Double(now) / 1000) s: \(text())"
        note("VIOLATED: \(text())")
    }
}
