import FoundationEssentials
import Logging
import Postgres
import Synchronization

/// Sends what webhooks are to be told.
///
/// Each timer's look tells when the next delivery is due, and whoever writes one notifies; until then this sleeps and
/// asks nothing. Several workers share the work: a delivery that is claimed is leased for a while, and sent again by
/// somebody else should this process die.
final class Deliverer: Sendable {
    private struct State {
        /// When to look; `nil` while there is nothing to look for.
        var due: ContinuousClock.Instant?
        /// The last look left something behind, for want of room.
        var isHungry = false
        var isStopping = false
        var busy: [UUID: Int] = [:]
        var sending = 0
        var probing = 0
        /// To be stored.
        var ended: [DeliverySettlement] = []
        /// The same, but somebody had locked it.
        var held: [DeliverySettlement] = []
        var nextSettling: ContinuousClock.Instant?
        var settlingBackoff = Backoff(base: .milliseconds(20), cap: .seconds(1))
        var lastLook: ContinuousClock.Instant?
        var nextClearing: ContinuousClock.Instant?
        /// All workers were told of a new one since the last look.
        var isTold = false
        var promptness = Promptness()
    }

    /// Deliveries on their way at once: of this process, and for one endpoint.
    private static let sendingMax = 64
    private static let endpointMax = 4
    /// So many of them at most for endpoints that failed the last time: they may take their time.
    private static let probingMax = 32
    /// Events come in bursts, to all workers: neither look for each nor all at once.
    private static let spread = Duration.milliseconds(15)
    private static let restBetweenLooks = Duration.milliseconds(50)
    /// Where events come for an endpoint that rests, all look in vain: that mustn't keep others' waiting for long.
    private static let latenessFactorMaxBesideRest = 4
    private static let clearingInterval = Duration.seconds(3600)

    private let transport: any WebhookTransport
    private let store: JobStore
    private let worker: WorkerState
    private let logger: Logger
    private let configuration: @Sendable () -> WorkerConfiguration
    private let wakeup = Wakeup()
    private let end = Wakeup()
    private let state = Mutex(State())

    init(
        transport: any WebhookTransport, store: JobStore, state: WorkerState, logger: Logger,
        configuration: @escaping @Sendable () -> WorkerConfiguration
    ) {
        self.transport = transport
        self.store = store
        worker = state
        self.logger = logger
        self.configuration = configuration
    }

    /// What a look found.
    /// - Parameters:
    ///   - next: When the next delivery is due, by the database's clock; `nil` where there is none.
    ///   - now: The database's clock at that look.
    func hear(next: Timestamp?, now: Timestamp) {
        guard let next else { return }
        note(.now + max(.zero, next.duration(since: now)))
    }

    /// Somebody wrote one.
    func hearNew() { note(.now, isNews: true) }

    private func note(_ moment: ContinuousClock.Instant, isNews: Bool = false) {
        state.withLock { state in
            let moment = moment + state.promptness.lateness(upTo: Deliverer.spread)
            let rest = state.promptness.stretched(Deliverer.restBetweenLooks)
            let rested = state.lastLook.map { max(moment, $0 + rest) } ?? moment
            state.due = min(state.due ?? rested, rested)
            state.isTold = state.isTold || isNews
        }
        wakeup.raise()
    }

    /// Takes nothing new; what is on its way may end.
    func stop() {
        state.withLock { $0.isStopping = true }
        wakeup.raise()
    }

    /// Returns when everything has ended after `stop()`, at the latest after this time.
    func waitUntilDone(atMost limit: Duration) async { await end.wait(until: .now + limit) }

    // MARK: The loop

    /// Sends until `stop()` and the end of what is on its way, or the task's cancellation.
    func run() async {
        defer { end.close() }
        var backoff = Backoff()
        await withDiscardingTaskGroup { sends in
            while !Task.isCancelled {
                do throws(PostgresError) {
                    try await settle()
                    if state.withLock({ $0.isStopping && $0.sending == 0 && $0.ended.isEmpty && $0.held.isEmpty }) {
                        break
                    }
                    for delivery in try await claim() {
                        sends.addTask { await self.send(delivery) }
                    }
                    try await clear()
                    backoff.reset()
                    await wakeup.wait(until: nextMoment)
                } catch {
                    if Task.isCancelled { break }
                    if worker.reportOutage(error) { logger.log(.databaseLost, metadata: ["ERROR": "\(error)"]) }
                    try? await Task.sleep(for: backoff.next(), tolerance: .zero, clock: .continuous)
                }
            }
            sends.cancelAll()
        }
    }

    private var nextMoment: ContinuousClock.Instant {
        state.withLock { state in
            let forever = ContinuousClock.now + .seconds(86_400)
            let idle = state.nextSettling ?? forever
            guard !state.isStopping, state.sending < Deliverer.sendingMax else { return idle }
            return min(idle, state.due ?? idle, state.nextClearing ?? idle)
        }
    }

    private func claim() async throws(PostgresError) -> [WebhookDelivery] {
        let (room, isTold): (DeliveryRoom?, Bool) = state.withLock { state in
            guard !state.isStopping, state.sending < Deliverer.sendingMax, let due = state.due, due <= .now else {
                return (nil, false)
            }
            state.due = nil
            state.lastLook = .now
            defer { state.isTold = false }
            return (
                DeliveryRoom(
                    busy: state.busy, free: Deliverer.sendingMax - state.sending,
                    freeForFailing: max(0, Deliverer.probingMax - state.probing), endpointMax: Deliverer.endpointMax),
                state.isTold
            )
        }
        guard let room else { return [] }
        let claimed: ClaimedDeliveries
        do throws(PostgresError) {
            claimed = try await store.claimDeliveries(room)
        } catch {
            note(.now)
            throw error
        }
        state.withLock { state in
            // Who sends meanwhile may have had no room for what it was told of.
            if isTold || !claimed.deliveries.isEmpty {
                state.promptness.looked(
                    found: !claimed.deliveries.isEmpty || state.sending > 0,
                    factorMax: claimed.anyRests ? Deliverer.latenessFactorMaxBesideRest : Promptness.factorMax)
            }
            for delivery in claimed.deliveries {
                state.busy[delivery.endpointID, default: 0] += 1
                state.sending += 1
                if delivery.isProbe { state.probing += 1 }
            }
            state.isHungry =
                claimed.deliveries.count >= room.free || state.probing >= Deliverer.probingMax
                || state.busy.values.contains { $0 >= Deliverer.endpointMax }
                || claimed.deliveries.contains { $0.isProbe }
            if state.nextClearing == nil, !claimed.deliveries.isEmpty { state.nextClearing = .now }
        }
        hear(next: claimed.next, now: claimed.now)
        return claimed.deliveries
    }

    private func send(_ delivery: WebhookDelivery) async {
        let answer = await transport.send(delivery, reachesPrivate: configuration().webhooksReachPrivate)
        state.withLock { state in
            let left = (state.busy[delivery.endpointID] ?? 1) - 1
            state.busy[delivery.endpointID] = left > 0 ? left : nil
            state.sending -= 1
            if delivery.isProbe { state.probing -= 1 }
            // A try that was cut short leaves nothing behind: its lease runs out, and it is sent again.
            if let answer {
                let delay = max(WebhookRetry.delay(after: delivery.attempt), answer.retryAfter ?? .zero)
                state.ended.append(DeliverySettlement(delivery: delivery, answer: answer, delay: delay))
            }
            if state.isHungry { state.due = .now }
        }
        wakeup.raise()
    }

    /// Stores what has ended.
    private func settle() async throws(PostgresError) {
        let ended = state.withLock { state in
            if let next = state.nextSettling, next <= .now {
                state.ended += state.held
                (state.held, state.nextSettling) = ([], nil)
            }
            defer { state.ended = [] }
            return state.ended
        }
        guard !ended.isEmpty else { return }
        let configuration = configuration()
        let settled: SettledDeliveries
        do throws(PostgresError) {
            settled = try await store.settleDeliveries(
                ended, failuresMax: configuration.webhookFailuresMax, workerID: configuration.workerID)
        } catch {
            // To be repeated as it is: what was stored already is not ours any more by then.
            if error.isTransient { state.withLock { $0.ended += ended } }
            throw error
        }
        rest(beforeSettling: ended.filter { settled.held.contains($0.delivery.id) })
        for settlement in ended where !settled.held.contains(settlement.delivery.id) {
            report(settlement, settled.statuses[settlement.delivery.id])
        }
        for (endpoint, reason) in settled.disabled.sorted(by: { $0.key < $1.key }) {
            logger.log(.webhookDisabled, metadata: ["WEBHOOK_ID": "\(endpoint)", "REASON": "\(reason)"])
        }
        // What waits for a disabled endpoint is to fail.
        if !settled.disabled.isEmpty { note(.now) }
        // The endpoint's pause, or the next try, is in the table.
        if settled.statuses.values.contains("pending") {
            note(.now + (ended.map(\.delay).min() ?? .zero))
        }
    }

    /// Keeps what somebody had locked, to ask again until its lease ends.
    private func rest(beforeSettling held: [DeliverySettlement]) {
        state.withLock { state in
            state.held += held
            if state.held.isEmpty { state.settlingBackoff.reset() }
            // What is held already is asked for at its time, whatever else is to rest.
            guard !state.held.isEmpty, state.nextSettling == nil else { return }
            state.nextSettling = .now + state.settlingBackoff.next()
        }
    }

    private func report(_ settlement: DeliverySettlement, _ status: String?) {
        let delivery = settlement.delivery
        var facts: Logger.Metadata = [
            "WEBHOOK_ID": "\(delivery.endpointID)", "DELIVERY_ID": "\(delivery.id)", "EVENT": "\(delivery.event)",
            "ERROR": "\(settlement.answer.error ?? "")",
        ]
        if let workspace = delivery.workspaceID { facts["WORKSPACE_ID"] = "\(workspace)" }
        switch status {
        case "delivered": worker.metrics.delivered("delivered")
        case "pending":
            worker.metrics.delivered("retried")
            logger.debug("a webhook was not heard and is sent again", metadata: facts)
        case "failed":
            worker.metrics.delivered("failed")
            logger.log(.webhookFailed, metadata: facts)
        default: worker.metrics.delivered("fenced")
        }
    }

    /// Clears away what is old, a batch at a time.
    private func clear() async throws(PostgresError) {
        let isTime = state.withLock { state in
            guard let next = state.nextClearing, next <= .now, !state.isStopping else { return false }
            state.nextClearing = .now + Deliverer.clearingInterval * Double.random(in: 0.9..<1.1)
            return true
        }
        guard isTime else { return }
        let batch = 500
        if try await store.clearDeliveries(olderThan: configuration().webhookKeep, batch: batch) == batch {
            state.withLock { $0.nextClearing = .now + .seconds(1) }
        }
    }
}
