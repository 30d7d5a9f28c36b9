import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// One history, told to the model and to PostgreSQL at the same virtual times.
///
/// Time passes in the database by moving all times of the rows into the past. The steps are whole hundreds of seconds,
/// the delays end with 50: no moment falls upon another, and the machine may be slow.
struct ModelHistory {
    let database: TestDatabase
    private let store: JobStore
    private var chance: SmallChance
    private(set) var model = JobsTable()
    /// Milliseconds.
    var now = 0
    private(set) var ids: [UUID] = []
    private(set) var claims: [(held: JobsTable.Held, claim: Claim)] = []
    /// The database's clock less the model's, in milliseconds, as the rows have it.
    var offset = 0.0
    var steps: [String] = []

    private static let staleAfter = 550_000
    private static let delays = JobsTable.Delays(base: 110_000, max: 450_000)
    private let retry = RetryPolicy(delayBase: .seconds(110), delayMax: .seconds(450))

    init(_ database: TestDatabase, seed: UInt64) async throws {
        self.database = database
        store = database.store()
        chance = SmallChance(state: seed)
        offset = try await clock()
    }

    mutating func step() async throws {
        // Now and then more than a snooze may last.
        try await pass(chance.one(in: 30) ? 90_000_000 : (1 + chance.below(4)) * 100_000)
        let kind = chance.below(11)
        let held = claims.isEmpty ? nil : claims[chance.below(claims.count)]
        let job = ids.isEmpty ? nil : chance.below(ids.count)
        switch (kind, held, job) {
        case (0, _, _), (_, _, nil): try await enqueue()
        case (1, _, _), (2, _, _): try await claim(reaping: kind == 2)
        case (3, let held?, _): try await complete(held)
        case (4, let held?, _), (5, let held?, _): try await settle(held)
        case (6, let held?, _): try await end(held)
        case (7, let held?, _): try await report(held)
        case (8, _, let job?): try await cancel(job)
        case (9, _, let job?): try await retry(job)
        case (10, _, _): try await takeBack()
        default: try await claim(reaping: false)
        }
    }

    // MARK: Steps

    private mutating func enqueue() async throws {
        guard ids.count < 6 else { return }
        let (priority, attempts) = (chance.below(3) - 1, 1 + chance.below(3))
        let scheduled = chance.one(in: 3) ? now + 250_000 : nil
        let id = UUID(uuid: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, UInt8(ids.count)))
        steps.append("\(now): enqueue \(ids.count)")
        model.enqueue(ids.count, priority: priority, maxAttempts: attempts, scheduledFor: scheduled, now: now)
        ids.append(id)
        let scheduledFor = scheduled.map { Timestamp(microseconds: Int64((Double($0) + offset) * 1000)) }
        _ = try await store.enqueue([
            NewJob(
                id: id, workspaceID: TestDatabase.workspace, type: "noop", payload: JSONText("{}"),
                priority: try #require(Priority(priority)), scheduledFor: scheduledFor, maxAttempts: attempts)
        ])
    }

    private mutating func claim(reaping: Bool) async throws {
        let (limit, takesSuspect) = (chance.below(4), chance.one(in: 2))
        let worker = chance.one(in: 2) ? "a1" : "b1"
        steps.append("\(now): \(worker) claims \(limit), suspects: \(takesSuspect), reaping: \(reaping)")
        let request = ClaimRequest.test(
            limit: limit, takesSuspect: takesSuspect, workerID: worker, staleAfter: .milliseconds(Self.staleAfter))
        let expected = model.claim(
            by: worker, limit: limit, takesSuspect: takesSuspect, staleAfter: Self.staleAfter, now: now)
        let claimed: [ClaimedJob]
        if reaping {
            model.beat(JobsTable.Worker(id: worker, instance: String(worker.prefix(1))))
            let reaped = model.reap(
                staleAfter: Self.staleAfter, batch: 100, delays: Self.delays, random: 0.5, now: now)
            let answer = try await store.poll(
                request, presence: .test(id: worker, instance: String(worker.prefix(1))),
                reaping: ReapRequest(
                    staleAfter: .milliseconds(Self.staleAfter), jobTypes: ["noop"], retry: retry))
            #expect(answer.reaped == reaped.count)
            claimed = answer.claimed
        } else {
            claimed = try await store.claim(request)
        }
        #expect(claimed.map(\.claim.jobID) == expected.map { ids[$0.job] })
        #expect(claimed.map(\.isSuspect) == expected.map(\.isSuspect))
        for (real, expected) in zip(claimed, expected) {
            claims.append((JobsTable.Held(job: expected.job, token: expected.token), real.claim))
        }
    }

    private mutating func complete(_ run: (held: JobsTable.Held, claim: Claim)) async throws {
        steps.append("\(now): complete \(run.held)")
        let isStored = model.complete(run.held, now: now)
        #expect(try await store.complete([(run.claim, nil)]).contains(run.claim) == isStored)
    }

    private mutating func settle(_ run: (held: JobsTable.Held, claim: Claim)) async throws {
        let kind = [Settlement.Kind.retry, .fail, .snooze, .release][chance.below(4)]
        steps.append("\(now): settle \(run.held) \(kind)")
        let verdict = model.settle(run.held, kind: kind, delay: 350_000, retryDelay: 650_000, now: now)
        let settlement = Settlement(
            claim: run.claim, kind: kind, message: "", delay: .seconds(350), retryDelay: .seconds(650))
        #expect(try await store.settle([settlement])[run.claim] == verdict)
    }

    private mutating func end(_ run: (held: JobsTable.Held, claim: Claim)) async throws {
        steps.append("\(now): end \(run.held)")
        model.endRuns([run.held])
        try await store.endRuns([run.claim])
    }

    private mutating func report(_ run: (held: JobsTable.Held, claim: Claim)) async throws {
        guard chance.one(in: 2) else {
            steps.append("\(now): progress \(run.held)")
            let expected = model.setProgress(run.held, now: now)
            #expect(try await store.setProgress(run.claim, JSONText("{}")) == expected)
            return
        }
        steps.append("\(now): beat \(run.held)")
        let expected = model.heartbeat([run.held], now: now)
        let answer = try await store.heartbeat([run.claim])
        #expect(
            [answer.held.count, answer.cancelled.count, answer.lost.count]
                == [expected.held.count, expected.cancelled.count, expected.lost.count])
    }

    private mutating func cancel(_ job: Int) async throws {
        steps.append("\(now): cancel \(job)")
        let isAllowed = model.cancel(job, now: now)
        let (store, id) = (store, ids[job])
        await expect(isAllowed) { _ = try await store.cancel(id, by: .test) }
    }

    private mutating func retry(_ job: Int) async throws {
        steps.append("\(now): retry \(job)")
        let isAllowed = model.retry(job, now: now)
        let (store, id) = (store, ids[job])
        await expect(isAllowed) { _ = try await store.retry(id, by: .test) }
    }

    private func expect(_ isAllowed: Bool, _ change: () async throws -> Void) async {
        do {
            try await change()
            #expect(isAllowed)
        } catch {
            #expect(!isAllowed && error is JobChangeRefusal)
        }
    }

    private mutating func takeBack() async throws {
        let worker = JobsTable.Worker(id: "a2", instance: "a")
        steps.append("\(now): take back")
        model.register(worker)
        try await store.register(.test(id: worker.id, instance: worker.instance))
        let taken = model.takeBackPredecessors(of: worker, delays: Self.delays, random: 0.5, now: now)
        let answer = try await store.takeBackPredecessors(
            of: worker.id, instance: worker.instance, machineID: "machine", retry: retry)
        #expect(answer.count == taken.count)
    }
}

/// Small and from a seed; only the order of the steps hangs on it.
private struct SmallChance {
    var state: UInt64

    mutating func below(_ limit: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(limit))
    }

    mutating func one(in limit: Int) -> Bool { below(limit) == 0 }
}

extension Requester {
    fileprivate static var test: Requester { Requester(actor: "operator:test", via: .cli) }
}
