import FoundationEssentials
import Logging
import Postgres
import Synchronization

/// What the database made of an outcome.
enum Stored: Sendable, Hashable {
    case completed, retried, failed, snoozed, released
    case ended
    /// The claim was not ours any more; nothing was changed.
    case fenced
    /// The worker stopped before the database answered.
    case unknown
}

/// How a run ended, and what the database made of that.
struct Ending: Sendable {
    /// `nil` where nothing was to be written: the claim was lost.
    let outcome: Outcome?
    let stored: Stored
}

/// The only writer of outcomes.
///
/// Outcomes that gather while a statement is under way are stored by the next one: a busy worker writes
/// many in one commit, and claims as many in the same; an idle one never waits. Where very many gather, a second
/// statement is sent beside the first: while one waits for the disk the other is worked on. With many slots each takes a
/// third of them: while two thirds are under way, the jobs of the last run. With few the larger half costs less than the
/// wait for its jobs. While the database is away outcomes stay here; there are never more of them than slots.
final class Completer: Sendable {
    private struct Entry: Sendable {
        let claim: Claim
        let outcome: Outcome
        private let ended: CheckedContinuation<Ending, Never>

        init(_ claim: Claim, _ outcome: Outcome, _ ended: CheckedContinuation<Ending, Never>) {
            self.claim = claim
            self.outcome = outcome
            self.ended = ended
        }

        func resume(as stored: Stored) { ended.resume(returning: Ending(outcome: outcome, stored: stored)) }
    }

    private struct State {
        var queue: [Entry] = []
        /// Statements under way.
        var lanes = 0
    }

    private let store: JobStore
    private let running: RunningJobs
    private let intake: Intake
    private let worker: WorkerState
    private let logger: Logger
    private let state = Mutex(State())
    private let isGivenUp = Atomic(false)
    private let arrivals: AsyncStream<Void>
    private let arrived: AsyncStream<Void>.Continuation
    private static let lanesMax = 2
    /// Few outcomes are stored best in one statement.
    private static let batchMin = 16
    /// A statement for more jobs takes so long that their third is best run meanwhile.
    private static let halfMax = 64
    /// Most outcomes in one statement: more bring nothing, and delay the first.
    private static let batchMax = 250
    private static let quietRoundsMax = 3
    private static let pauseForLocks = Duration.milliseconds(100)

    init(store: JobStore, running: RunningJobs, intake: Intake, state: WorkerState, logger: Logger) {
        self.store = store
        self.running = running
        self.intake = intake
        worker = state
        self.logger = logger
        (arrivals, arrived) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Stores an outcome, and resumes the continuation when it is committed. The slot of a completed run is free then,
    /// those of others are to be freed by who waits.
    func store(_ outcome: Outcome, of claim: Claim, _ ended: CheckedContinuation<Ending, Never>) {
        add([Entry(claim, outcome, ended)])
    }

    private func add(_ entries: [Entry]) {
        let mustTell = state.withLock { state in
            state.queue += entries
            return needsLane(state)
        }
        if mustTell { arrived.yield() }
    }

    /// As many as fit into one statement: half of the slots, and of more than 128 less, down to a third.
    static func batchLimit(slots: Int) -> Int {
        let (half, third) = ((slots + 1) / 2, (slots + 2) / 3)
        return min(batchMax, max(batchMin, min(half, halfMax), third))
    }

    private var batchLimit: Int { Completer.batchLimit(slots: running.limit) }

    private func needsLane(_ state: borrowing State) -> Bool {
        state.lanes == 0 || (state.lanes < Completer.lanesMax && state.queue.count >= batchLimit / 2)
    }

    /// No outcome comes any more.
    func finish() { arrived.finish() }

    /// Waits for the database no longer: the worker has to end. What isn't stored will be taken back.
    func giveUp() { isGivenUp.store(true, ordering: .releasing) }

    func run() async {
        await withDiscardingTaskGroup { group in
            for await _ in arrivals {
                let isNeeded = state.withLock { state in
                    guard !state.queue.isEmpty, needsLane(state) else { return false }
                    state.lanes += 1
                    return true
                }
                if isNeeded { group.addTask { await self.writeUntilEmpty() } }
            }
        }
    }

    private func writeUntilEmpty() async {
        await withDiscardingTaskGroup { group in
            while let batch = await nextBatch() {
                let locked = await write(batch)
                if !locked.isEmpty { group.addTask { await self.putBack(locked) } }
            }
        }
    }

    /// - Returns: `nil` when nothing is left: this lane has ended.
    private func nextBatch() async -> [Entry]? {
        await gather()
        let limit = batchLimit
        return state.withLock { state in
            guard !state.queue.isEmpty else {
                state.lanes -= 1
                if state.lanes == 0 { worker.rests(.completer) }
                return nil
            }
            let batch = Array(state.queue.prefix(limit))
            state.queue.removeFirst(batch.count)
            return batch
        }
    }

    /// Runs that are about to end may do so first: it takes no time where there are none.
    private func gather() async {
        let limit = batchLimit
        var (most, quietRounds) = (state.withLock { $0.queue.count }, 0)
        // A run passes through a few tasks before its outcome comes here: a round may bring nothing.
        while most < limit, quietRounds < Completer.quietRoundsMax {
            await Task.yield()
            let count = state.withLock { $0.queue.count }
            (most, quietRounds) = count > most ? (count, 0) : (most, quietRounds + 1)
        }
    }

    /// Whoever locks a row keeps its own job waiting, and no other.
    private func putBack(_ entries: [Entry]) async {
        try? await Task.sleep(for: Completer.pauseForLocks)
        if isGivenUp.load(ordering: .acquiring) || Task.isCancelled {
            for entry in entries { entry.resume(as: .unknown) }
        } else {
            add(entries)
        }
    }

    /// - Returns: Those whose rows others have locked.
    private func write(_ batch: [Entry]) async -> [Entry] {
        var completions: [(Entry, JSONText?)] = []
        var settlements: [(Entry, Settlement)] = []
        var ends: [Entry] = []
        for entry in batch {
            switch entry.outcome {
            case .completed(let result): completions.append((entry, result))
            case .settled(let settlement): settlements.append((entry, settlement))
            case .ended: ends.append(entry)
            }
        }
        var locked: [Entry] = []
        if !completions.isEmpty { locked += await exchange(completions) }
        if !settlements.isEmpty { locked += await settle(settlements) }
        if !ends.isEmpty { locked += await end(ends, as: .ended) }
        return locked
    }

    /// The usual way: stores them all, and claims as many jobs in the same commit where more are due.
    private func exchange(_ completions: [(entry: Entry, result: JSONText?)]) async -> [Entry] {
        let claiming = intake.begin(leaving: completions.map(\.entry.claim))
        worker.willTurn(.completer, within: .seconds(120))
        let answer: ExchangeAnswer
        do throws(PostgresError) {
            answer = try await store.exchange(
                completions.map { ($0.entry.claim, $0.result) }, for: claiming?.request)
        } catch {
            if let claiming { intake.fail(claiming) }
            return await complete(completions)
        }
        let isWhole = answer.missing.isEmpty
        let stored = isWhole ? completions : completions.filter { !answer.missing.contains($0.entry.claim) }
        let left = stored.map(\.entry.claim)
        // Before the slots: who waits for runs to be gone counts them then.
        worker.count { $0.completed += left.count }
        if let claiming {
            if !answer.claimed.isEmpty {
                worker.count { $0.claimed += answer.claimed.count }
                worker.metrics.polled(.wake)
            }
            intake.end(claiming, claimed: answer.claimed, left: left)
        } else {
            running.remove(left)
            intake.slotsFreed()
        }
        for (entry, _) in stored { entry.resume(as: .completed) }
        return isWhole ? [] : await complete(completions.filter { answer.missing.contains($0.entry.claim) })
    }

    /// The careful way: locked rows, lost claims and results that can't be stored each concern one job only.
    private func complete(_ completions: [(entry: Entry, result: JSONText?)]) async -> [Entry] {
        let answer = await untilAnswered { () async throws(PostgresError) -> Set<Claim> in
            try await self.store.complete(completions.map { ($0.entry.claim, $0.result) })
        }
        switch answer {
        case .success(let stored):
            var missing: [Entry] = []
            for (entry, _) in completions {
                if stored.contains(entry.claim) {
                    worker.count { $0.completed += 1 }
                    running.remove([entry.claim])
                    entry.resume(as: .completed)
                } else {
                    missing.append(entry)
                }
            }
            intake.slotsFreed()
            return await endThoseLost(missing)
        case .failure(let error) where error.isTransient || error.reason == .cancelled:
            for (entry, _) in completions { entry.resume(as: .unknown) }
        case .failure(let error) where completions.count > 1:
            // One result that can't be stored must not take the others along.
            logger.log(.batchRefused, metadata: ["ERROR": "\(error)"])
            let middle = completions.count / 2
            let locked = await complete(Array(completions[..<middle]))
            return locked + (await complete(Array(completions[middle...])))
        case .failure(let error):
            guard let (entry, _) = completions.first else { return [] }
            let message = "The job ran, but its result can't be stored: \(error.message)"
            return await settle([(entry, Settlement(claim: entry.claim, kind: .fail, message: message))])
        }
        return []
    }

    private func settle(_ settlements: [(entry: Entry, settlement: Settlement)]) async -> [Entry] {
        let answer = await untilAnswered { () async throws(PostgresError) -> [Claim: Verdict] in
            try await self.store.settle(settlements.map(\.settlement))
        }
        switch answer {
        case .success(let verdicts):
            var missing: [Entry] = []
            for (entry, _) in settlements {
                switch verdicts[entry.claim] {
                case .retried: entry.resume(as: .retried)
                case .failed: entry.resume(as: .failed)
                case .snoozed: entry.resume(as: .snoozed)
                case .released: entry.resume(as: .released)
                case nil: missing.append(entry)
                }
            }
            return await endThoseLost(missing)
        case .failure(let error) where error.isTransient || error.reason == .cancelled:
            for (entry, _) in settlements { entry.resume(as: .unknown) }
        case .failure(let error) where settlements.count > 1:
            logger.log(.batchRefused, metadata: ["ERROR": "\(error)"])
            let middle = settlements.count / 2
            let locked = await settle(Array(settlements[..<middle]))
            return locked + (await settle(Array(settlements[middle...])))
        case .failure(let error):
            guard let (entry, settlement) = settlements.first else { return [] }
            if settlement.stack == nil, settlement.message == Completer.plainMessage {
                logger.log(.outcomeRefused, metadata: ["ERROR": "\(error)"])
                entry.resume(as: .fenced)
                return []
            }
            // The text of the error itself is what can't be stored.
            let plain = Settlement(
                claim: settlement.claim, kind: settlement.kind, message: Completer.plainMessage,
                delay: settlement.delay, retryDelay: settlement.retryDelay)
            return await settle([(entry, plain)])
        }
        return []
    }

    /// - Returns: Those that are still ours to end.
    private func endThoseLost(_ entries: [Entry]) async -> [Entry] {
        guard !entries.isEmpty else { return [] }
        let answer = await untilAnswered { () async throws(PostgresError) in
            try await self.store.openClaims(entries.map(\.claim))
        }
        guard case .success(let open) = answer else {
            for entry in entries { entry.resume(as: .unknown) }
            return []
        }
        let lost = entries.filter { !open.contains($0.claim) }
        let locked = lost.isEmpty ? [] : await end(lost, as: .fenced)
        return entries.filter { open.contains($0.claim) } + locked
    }

    private static let plainMessage =
        "The attempt failed with an error whose text can't be stored; see the worker's log"

    /// - Returns: Those whose rows others have locked.
    private func end(_ entries: [Entry], as stored: Stored) async -> [Entry] {
        let answer = await untilAnswered { () async throws(PostgresError) in
            try await self.store.endRuns(entries.map(\.claim))
        }
        guard case .success(let locked) = answer else {
            for entry in entries { entry.resume(as: .unknown) }
            return []
        }
        for entry in entries where !locked.contains(entry.claim) { entry.resume(as: stored) }
        return entries.filter { locked.contains($0.claim) }
    }

    /// Repeats a statement until the database has answered it: with success, or with a lasting refusal.
    private func untilAnswered<Value: Sendable>(
        _ statement: @Sendable () async throws(PostgresError) -> Value
    ) async -> Result<Value, PostgresError> {
        var backoff = Backoff()
        while true {
            worker.willTurn(.completer, within: .seconds(120))
            do throws(PostgresError) {
                return .success(try await statement())
            } catch {
                guard error.isTransient, !isGivenUp.load(ordering: .acquiring) else { return .failure(error) }
                logger.log(.outcomeWaits, metadata: ["ERROR": "\(error)"])
                try? await Task.sleep(for: backoff.next())
            }
        }
    }
}
