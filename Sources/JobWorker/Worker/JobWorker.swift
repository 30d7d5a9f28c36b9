public import Logging
package import Postgres
public import ServiceLifecycle

/// Claims jobs from the database and runs them.
///
/// A `Service`: `run()` returns after a graceful shutdown, once the running jobs have ended or were given
/// back. It holds three connections: two for statements, one that listens.
///
///     run ─┬─ listener     notifications wake the poller, or claim the one job they are about
///          ├─ heartbeat    says that runs live, stops those that are over
///          ├─ completer    stores outcomes
///          ├─ ticker       makes the jobs of schedules
///          ├─ deliverer    sends what webhooks are to be told, where there is a transport for it
///          ├─ upkeep       changes many jobs bit by bit, takes old ones
///          ├─ alarm        looks for what administrators are to be alerted to
///          ├─ recorder     stores the sums of what ran
///          └─ poller       claims; each job is a child task
public final class JobWorker: Service {
    /// Looks, once connected, which of the registered types can't be served, and why: type → sentence.
    package typealias TypeCheck = @Sendable () async throws -> [String: String]

    /// Brings an older schema up to date.
    package typealias Migration = @Sendable () async throws -> Void

    package let state = WorkerState()
    private let settings: Live<WorkerConfiguration>
    private let processors: Live<ProcessorRegistry>
    private let pool: ConnectionPool
    private let listenSettings: ConnectionSettings
    private let check: TypeCheck
    private let migrate: Migration?
    private let logger: Logger
    private let logsLazily: Bool
    private let store: JobStore
    private let running: RunningJobs
    private let poller: Poller
    private let completer: Completer
    private let deliverer: Deliverer?
    private let recorder: RunRecorder
    /// Its own: who inserts wakes one worker, not all.
    private let channel: String
    private let beatNow = Wakeup()
    private let stopRequested = Wakeup()
    private let hurryRequested = Wakeup()

    /// - Parameters:
    ///   - pool: For every statement of the worker and of its processors; two connections are enough.
    ///   - listen: For LISTEN: a direct connection where `pool` goes through a transaction pooler.
    ///   - logsLazily: Whether `logger` is one of this package's, whose handlers ask providers of metadata: what their lines
    ///     say of a job is put together once one is written.
    ///   - check: Which types can't be served on this database.
    ///   - webhooks: Sends their deliveries; without it that is left to other workers.
    ///   - migrate: Called where the schema is older than this program; without it the worker waits for somebody
    ///     to run 'jobworker migrate'.
    package init(
        configuration: WorkerConfiguration, pool: ConnectionPool, listen: ConnectionSettings? = nil,
        processors: ProcessorRegistry, logger: Logger, logsLazily: Bool = false,
        webhooks: (any WebhookTransport)? = nil,
        check: @escaping TypeCheck = { [:] }, migrate: Migration? = nil
    ) {
        var logger = logger
        logger[metadataKey: "WORKER_ID"] = "\(configuration.workerID)"
        let settings = Live(configuration)
        let (state, processors) = (self.state, Live(processors))
        self.settings = settings
        self.pool = pool
        self.processors = processors
        self.check = check
        self.migrate = migrate
        self.logger = logger
        self.logsLazily = logsLazily
        listenSettings = listen ?? pool.settings
        store = JobStore(pool: pool, lifecycleLevel: configuration.lifecycleLogs)
        running = RunningJobs(limit: configuration.maxConcurrent)
        channel = "jobworker_wake_" + String(UInt64.random(in: .min ... .max), radix: 16)
        let (store, workerLogger) = (self.store, logger)
        deliverer = webhooks.map {
            Deliverer(transport: $0, store: store, state: state, logger: workerLogger) { settings.value }
        }
        poller = Poller(
            running: running, store: store, state: state, logger: logger, channel: channel, deliverer: deliverer,
            beat: beatNow, configuration: { settings.value },
            types: { processors.value.served.without(state.snapshot.unservedTypes.keys) })
        recorder = RunRecorder(tally: state.tally, store: store, logger: logger)
        completer = Completer(store: store, running: running, intake: poller.intake, state: state, logger: logger)
        state.update { $0.jobTimeout = configuration.jobTimeout }
    }

    /// A worker with a pool of its own, which it closes at its end.
    /// - Parameters:
    ///   - database: What libpq accepts as a connection string, such as `postgresql://worker@host/application`; "" for
    ///     the environment's `PG*` variables. Its schema is there and up to date: `jobworker migrate`.
    ///   - listen: The same for LISTEN, where `database` is a transaction pooler: a direct connection.
    ///   - processors: The job types to serve.
    ///   - configuration: Queues, limits and intervals.
    ///   - logger: Each attempt's begin and end is a line, with the job in its metadata.
    /// - Throws: `DuplicateJobType`.
    public convenience init(
        database: String, listen: String? = nil, processors: [any JobProcessor],
        configuration: WorkerConfiguration = WorkerConfiguration(), logger: Logger = Logger(label: "jobworker")
    ) throws {
        var registry = ProcessorRegistry()
        for processor in processors { try registry.register(processor) }
        func settings(_ address: String, _ purpose: String) -> ConnectionSettings {
            ConnectionSettings(connectionString: address, applicationName: "jobworker \(purpose)")
        }
        self.init(
            configuration: configuration, pool: ConnectionPool(settings(database, "work"), limit: 2),
            listen: settings(listen ?? database, "listen"), processors: registry, logger: logger, webhooks: nil)
    }

    public var configuration: WorkerConfiguration { settings.value }
    /// Attempts of this process, those whose outcome is being stored among them.
    public var runningCount: Int { running.count }

    /// Takes over what may change while jobs run: queues, limits, intervals, retry delays, the level of rows in `job_logs`.
    public func reconfigure(_ change: (inout WorkerConfiguration) -> Void) {
        var configuration = settings.value
        change(&configuration)
        settings.value = configuration
        running.limit = configuration.maxConcurrent
        store.lifecycleLevel = configuration.lifecycleLogs
        state.update { $0.jobTimeout = configuration.jobTimeout }
        poller.intake.hear(.unknown)
    }

    /// Serves these types from now on. Running jobs go on with the processors that they have.
    public func serve(_ registry: ProcessorRegistry) {
        processors.value = registry
        // Of a new type jobs may have waited for long.
        poller.intake.hear(.unknown)
    }

    /// Begins to stop: nothing new is claimed, running jobs may end within the shutdown time.
    public func stop() {
        state.update { if $0.phase == .working { $0.phase = .draining } }
        poller.stop()
        stopRequested.close()
    }

    /// Doesn't wait for running jobs any longer: stops them and gives them back.
    public func hurry() {
        stop()
        hurryRequested.close()
    }

    /// Runs until a graceful shutdown, `stop()` or the task's cancellation.
    /// - Throws: `WorkerRefusal` when this database must not, or can't ever, be worked on.
    public func run() async throws {
        // The tree has a task of its own, so that a cancellation asks it to hurry and cuts nothing off.
        let tree = Task { try await runTree() }
        try await withGracefulShutdownHandler {
            try await withTaskCancellationHandler {
                try await tree.value
            } onCancel: {
                self.hurry()
            }
        } onGracefulShutdown: {
            self.stop()
        }
    }

    // MARK: The tree of tasks

    private func runTree() async throws {
        defer { state.finish() }
        do {
            try await prepare()
        } catch {
            await pool.close()
            throw error
        }
        if !stopRequested.isClosed {
            await withTaskGroup(of: Void.self) { loops in
                loops.addTask { await self.completer.run() }
                loops.addTask { await self.heartbeat.run() }
                loops.addTask { await self.poller.run() }
                loops.addTask { await self.poller.ticker.run() }
                loops.addTask { await self.deliverer?.run() }
                loops.addTask { await self.poller.upkeep.run() }
                loops.addTask { await self.poller.alarm.run() }
                loops.addTask { await self.recorder.run() }
                loops.addTask { await self.listen() }
                await claimUntilStopped()
                await finishDeliveries()
                await leave()
                completer.finish()
                loops.cancelAll()
            }
        }
        state.update { $0.phase = .stopped }
        await pool.close()
    }

    private var heartbeat: Heartbeat {
        let configuration = settings.value
        return Heartbeat(
            running: running, store: store, state: state, wakeup: beatNow, interval: configuration.heartbeatInterval,
            staleAfter: configuration.staleAfter, grace: configuration.cancellationGrace, logger: logger)
    }

    private func listen() async {
        let isTold = Live(false)
        let channels = [channel, Channel.cancel, Channel.operations] + (deliverer == nil ? [] : [Channel.webhook])
        await Listener(listenSettings, channels: channels).run { event in
            switch event {
            case .listening:
                self.state.update { $0.isListening = true }
                isTold.value = false
                // What was announced while nobody listened is only in the table.
                self.poller.intake.setListening(true)
                self.poller.intake.hear(.unknown)
                self.beatNow.raise()
            case .notification(let notification) where notification.channel == Channel.operations:
                self.poller.upkeep.hearOperations()
            case .notification(let notification) where notification.channel == Channel.cancel:
                self.poller.intake.hearCancel()
            case .notification(let notification) where notification.channel == Channel.webhook:
                self.deliverer?.hearNew()
            case .notification(let notification):
                await self.poller.hear(DueAnnouncement(payload: notification.payload))
            case .lost(let error):
                self.state.update { $0.isListening = false }
                self.poller.intake.setListening(false)
                if !isTold.value {
                    isTold.value = true
                    self.logger.log(.notificationsLost, metadata: ["ERROR": "\(error)"])
                }
            }
        }
    }

    /// Claims, each job a child task, until a stop; then drains.
    private func claimUntilStopped() async {
        state.update { $0.phase = stopRequested.isClosed ? .draining : .working }
        logger.log(.workerStarted, metadata: ["JOB_TYPES": "\(processors.value.jobTypes.joined(separator: ", "))"])
        await withDiscardingTaskGroup { group in
            // Ends with the last claim after a stop.
            for await jobs in poller.intake.arrivals {
                let environment = environment
                for job in jobs {
                    let attempt = Attempt(job, environment)
                    // Begins on this thread, without a change to another one; but a payload that may ask for results of
                    // other jobs is searched, which mustn't keep the others waiting.
                    if job.hasParents {
                        group.addTask { await attempt.run() }
                    } else {
                        group.addImmediateTask { await attempt.run() }
                    }
                }
            }
            await drain()
        }
    }

    private var environment: Attempt.Environment {
        Attempt.Environment(
            processors: processors.value, running: running, completer: completer, intake: poller.intake, store: store,
            state: state, retry: settings.value.retry, logger: logger, logsLazily: logsLazily)
    }

    // MARK: Stopping

    /// Waits for the running jobs, then stops and releases what is left.
    private func drain() async {
        let configuration = settings.value
        running.letGo()
        if !running.isEmpty {
            logger.log(.drainWaits, metadata: ["JOBS": "\(running.count)"])
            await withTimeLimit(configuration.shutdownTimeout) {
                await withTaskGroup(of: Void.self) { race in
                    race.addTask { await self.running.waitUntilGone(Set(self.running.claims)) }
                    race.addTask { await self.hurryRequested.wait() }
                    await race.next()
                    race.cancelAll()
                }
            }
        }
        guard !running.isEmpty else { return }
        running.stopAll(because: .draining)
        // Processors get their grace time from the heartbeat's loop; the database gets as much again.
        beatNow.raise()
        let isStored = await withTimeLimit(configuration.cancellationGrace * 2) {
            await self.running.waitUntilGone(Set(self.running.claims))
        }
        if !isStored { completer.giveUp() }
    }

    /// Lets deliveries that are on their way end: each within ten seconds.
    private func finishDeliveries() async {
        guard let deliverer else { return }
        deliverer.stop()
        await deliverer.waitUntilDone(atMost: hurryRequested.isClosed ? .milliseconds(100) : .seconds(11))
    }

    /// Says good-bye in the table of workers, if the database answers.
    private func leave() async {
        let (store, id, recorder) = (store, settings.value.workerID, recorder)
        await withTimeLimit(.seconds(2)) {
            await recorder.stop()
            try? await store.leave(workerID: id)
        }
    }

    // MARK: Polling on demand

    package func pollNow(waitingAtMost limit: Duration) async -> PollReport {
        var report = PollReport()
        switch state.snapshot.phase {
        case .connecting: report.refusal = "the worker is not connected to the database yet"
        case .awaitingMigration: report.refusal = "the database's schema is older than this program"
        case .draining, .stopped: report.refusal = "the worker is stopping"
        case .working: break
        }
        guard report.refusal == nil else { return report }
        let before = Set(running.claims)
        let outcome = await poller.look()
        report.refusal = outcome.error
        guard outcome.error == nil else { return report }
        // Also what a wake-up claimed while the caller waited for its look.
        let awaited = before.union(outcome.claims).union(running.claims)
        await withTimeLimit(limit) { await self.running.waitUntilGone(awaited) }
        let (now, then) = (state.snapshot.counts, outcome.countsBefore)
        report.claimed = now.claimed - then.claimed
        report.completed = now.completed - then.completed
        report.retried = now.retried - then.retried + now.snoozed - then.snoozed
        report.failed = now.failed - then.failed
        report.running = running.count
        report.isSaturated = outcome.isSaturated
        return report
    }
}

extension JobWorker: WorkerControl {}

extension JobWorker {
    /// Whether nothing runs and no claim is on its way. What earlier ones brought is counted by then.
    package var isIdle: Bool { !poller.intake.isClaiming && running.isEmpty }
}

extension JobWorker {
    /// The notifications sent by the triggers of `public.jobs` to all workers.
    private enum Channel {
        static let cancel = "jobworker_cancel"
        /// A delivery was written.
        static let webhook = "jobworker_webhook"
        /// An operation on many jobs was begun or goes on.
        static let operations = "jobworker_operations"
    }

    // MARK: Before the first claim

    /// Connects, waits for the schema, and takes back what an earlier process of this instance left behind.
    ///
    /// Returns early when a stop is asked for.
    private func prepare() async throws {
        var backoff = Backoff()
        while !stopRequested.isClosed {
            do {
                if try await isReady() { return }
                await stopRequested.wait(until: .now + settings.value.pollInterval)
            } catch let error as PostgresError where error.isTransient || error.sqlState?.hasPrefix("28") == true {
                if state.reportOutage(error) {
                    logger.log(.databaseUnreached, metadata: ["ERROR": "\(error)"])
                }
                await stopRequested.wait(until: .now + backoff.next())
            } catch let error as PostgresError where error.reason == .malformed && error.operation == "connect" {
                throw WorkerRefusal("DATABASE_URL: \(error.message)")
            }
        }
    }

    private func isReady() async throws -> Bool {
        switch try await schemaState() {
        case .current: break
        case .behind(let missing):
            state.reportAnswer()
            if let migrate {
                logger.log(.schemaUpdating, metadata: ["MISSING": "\(missing)"])
                state.update { $0.phase = .awaitingMigration }
                try await migrate()
                return try await isReady()
            }
            if state.snapshot.phase != .awaitingMigration {
                logger.log(.schemaBehind, metadata: ["MISSING": "\(missing)"])
            }
            state.update { $0.phase = .awaitingMigration }
            return false
        case .ahead(let version):
            throw WorkerRefusal(
                """
                the database's schema is newer than this program (migration \(version)): install the version of \
                jobworker that made it, or a later one
                """)
        }
        if let problem = try await store.accessProblem() { throw WorkerRefusal(problem) }
        let unserved = try await check()
        state.update { $0.unservedTypes = unserved }
        for (type, reason) in unserved.sorted(by: { $0.key < $1.key }) {
            logger.log(.typeUnserved, metadata: ["JOB_TYPE": "\(type)", "REASON": "\(reason)"])
        }
        try await takeBackPredecessors()
        state.reportAnswer()
        return true
    }

    private func schemaState() async throws -> JobStore.SchemaState {
        do throws(PostgresError) {
            return try await store.schemaState()
        } catch {
            // A login that is no member of the worker's role may not even look.
            guard error.sqlState == "42501" else { throw error }
            throw WorkerRefusal(try await store.accessProblem() ?? "\(error)")
        }
    }

    private func takeBackPredecessors() async throws {
        let configuration = settings.value
        guard configuration.holdsInstanceLock, !configuration.machineID.isEmpty else { return }
        // First the row that says since when this process lives: should the next statement arrive late, after our own
        // end, it must not take what our successor runs.
        try await store.register(poller.presence(configuration, types: processors.value.served))
        let takenBack = try await store.takeBackPredecessors(
            of: configuration.workerID, instance: configuration.instance, machineID: configuration.machineID,
            retry: configuration.retry)
        state.count { $0.reaped += takenBack.count }
        state.metrics.tookBack(takenBack.count)
        if takenBack.count > 0 { logger.log(.predecessorTakenBack, metadata: ["JOBS": "\(takenBack.count)"]) }
        for id in takenBack.poisoned { logger.log(.jobPoisoned, metadata: ["JOB_ID": "\(id)"]) }
    }
}

/// Why a worker must not work on this database; trying again can't help. The program exits with status 78.
public struct WorkerRefusal: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}
