import API
import ControlPlane
import Dashboard
import Enrichment
import FoundationEssentials
import Glibc
import HTTPClient
import Handlers
public import JobWorker
import Logging
public import Logs
import Metrics
import Postgres
import ServiceLifecycle
public import Settings
import Synchronization
import Systemd
import Telemetry
import Webhooks

/// The whole long-running program, put together from the settings: what `jobworker run` starts.
public struct Daemon: Sendable {
    /// How the daemon ended; the program turns it into its exit status.
    public enum Failure: Error, CustomStringConvertible {
        /// Settings, or a database this worker must not touch: starting again can't help.
        case configuration(String)
        /// Something the process needs is not to be had, such as its socket.
        case unavailable(String)

        public var description: String {
            switch self {
            case .configuration(let reason), .unavailable(let reason): reason
            }
        }
    }

    private let sources: Sources
    private let configuration: Configuration
    private let version: String
    private let identity: Identity
    private let logLevel: LogLevelSetting
    private let logLimiter: LogLimiter?
    private let logger: Logger
    /// Processors of other job types, for a program of its own around the library.
    private let processors: [any JobProcessor]

    /// - Parameters:
    ///   - sources: Read again at a reload.
    ///   - logLevel: Changed by a reload.
    ///   - logLimiter: What it leaves out is told and counted.
    public init(
        sources: Sources, configuration: Configuration, version: String, logLevel: LogLevelSetting,
        logLimiter: LogLimiter? = nil, processors: [any JobProcessor] = []
    ) {
        self.sources = sources
        self.configuration = configuration
        self.version = version
        self.logLevel = logLevel
        self.logLimiter = logLimiter
        self.processors = processors
        identity = Identity(configuration)
        var logger = Logger(label: "jobworker")
        logger[metadataKey: "WORKER_ID"] = "\(identity.workerID)"
        self.logger = logger
    }

    /// Runs until SIGTERM or SIGINT.
    /// - Throws: `Failure`.
    public func run(migratingFirst: Bool = false) async throws {
        // No core dump and no debugger may read the keys that are decrypted here.
        ProcessMemory.forbidDumps()
        signal(SIGPIPE, SIG_IGN)
        for warning in configuration.warnings { logger.log(.settingRemark, metadata: ["REMARK": "\(warning)"]) }
        let directory = RuntimeDirectory(environment: sources.environment)
        if let problem = directory.make() { logger.log(.runtimeDirectoryMissing, metadata: ["ERROR": "\(problem)"]) }
        let lock = instanceLock(directory)
        let client = Client()
        let statsd = StatsdReporting(configuration, identity: identity, version: version, logger: logger)
        let metricRegistry = MetricRegistry(observing: statsd?.observing)
        MetricsSystem.bootstrap(metricRegistry)
        Figures.begin()
        let pool = ConnectionPool(settings(configuration[Catalog.databaseURL], "work"), limit: 2)
        let vault = try vault()
        let enrichment = EnrichmentService(
            pool: pool, client: client, vault: vault, configuration: enrichmentConfiguration(),
            onRequest: { status in
                Counter(label: MetricCatalog.apolloRequests.name, dimensions: [("status", status)]).increment()
            })
        let handlers = HandlerService(
            tokens: vault.attemptTokens, version: version,
            credentials: sources.environment["CREDENTIALS_DIRECTORY"])
        let types = try ServedHandlers(
            own: registry(enrichment), handlers: handlers,
            // What the embedding program's job types start is theirs to end.
            adoptsStrays: processors.isEmpty, logger: logger)
        await types.load(configuration[Catalog.handlers])
        // What enrichment may reach is not for webhooks: they share no connection.
        let webhookClient = Client()
        let worker = JobWorker(
            configuration: WorkerConfiguration(
                configuration, identity: identity, version: version, holdsInstanceLock: lock != nil),
            pool: pool, listen: settings(configuration.listenConnection, "listen"),
            processors: types.registry, logger: logger, logsLazily: true,
            webhooks: WebhookSender(client: webhookClient, vault: vault), check: whenConnected(pool),
            migrate: migratingFirst ? migration() : nil)
        // Figures have a connection of their own, opened when somebody asks for them.
        let figuresPool = ConnectionPool(settings(configuration[Catalog.databaseURL], "figures"), limit: 1)
        let figures = Figures(
            registry: metricRegistry, worker: worker, store: JobStore(pool: figuresPool), version: version,
            logger: logger)
        do {
            try await serve(
                worker, figures, statsd, apiParts(vault, client), scheduleFolder(pool), types,
                on: try addresses(directory))
        } catch {
            await handlers.close()
            await statsd?.stop()
            throw error
        }
        await handlers.close()
        await statsd?.stop()
        await figuresPool.close()
        await client.shutdown()
        await webhookClient.shutdown()
        withExtendedLifetime(lock) {}
    }

    private func serve(
        _ worker: JobWorker::JobWorker, _ figures: Figures, _ statsd: StatsdReporting?, _ api: APIParts,
        _ schedules: @escaping @Sendable (Configuration) -> ScheduleFolder, _ types: ServedHandlers,
        on addresses: [ListenAddress]
    ) async throws {
        let group = Live<ServiceGroup?>(nil)
        let isServing = Live(false)
        let reason = Live("asked to")
        let notifier = Notifier()
        let authentication: Authentication
        do throws(MemberKeysProblem) {
            authentication = Authentication(
                operators: configuration.operatorDigests, members: try configuration.memberVerifier())
        } catch {
            throw Failure.configuration("\(error)")
        }
        let reload = Reload(
            sources: sources, current: configuration, worker: worker, authentication: authentication,
            schedules: schedules, types: types, logLevel: logLevel, notifier: notifier, logger: logger)
        let service = ServiceIdentity(
            region: configuration[Catalog.region], environment: configuration[Catalog.environment], version: version)
        let logger = logger
        let routes =
            HealthRoutes(worker: worker, service: service).routes + WorkerRoutes(worker: worker).routes
            + MetricsRoutes(contentType: PrometheusText.contentType) { await figures.text() }.routes
            + api.surface.routes
        let pages = Dashboard(api: routes, database: api.database, hub: api.hub, authentication: authentication) {
            await reload.current.describe().map {
                Dashboard.Setting(
                    name: $0.name, value: $0.value, origin: $0.origin.description, isDefault: $0.origin == .default,
                    help: $0.help)
            }
        }
        let server = ControlPlaneServer(
            listeningOn: addresses,
            routes: RouteTable(
                OpenAPIRoutes(version: version, components: HTTPSurface.components).describing(routes) + pages.routes),
            authentication: authentication, logger: logger
        ) { bound in
            isServing.value = true
            logger.log(.listening, metadata: ["ADDRESSES": "\(bound.map(\.description).joined(separator: ", "))"])
        }
        let leftOutLines = logLimiter.map { LeftOutLines(limiter: $0, logger: logger) }
        let observers: [(any Service)?] = [leftOutLines, statsd.map { _ in StatsdFigures(figures: figures) }]
        let services: [any Service] =
            observers.compactMap { $0 } + [
                SignalHandling(
                    worker: worker, logger: logger,
                    stop: { signal in
                        reason.value = signal
                        await group.value?.triggerGracefulShutdown()
                    },
                    reload: { await reload.run() }),
                SystemdReporter(
                    notifier: notifier, watchdog: Watchdog(), worker: worker, isServing: { isServing.value },
                    logger: logger
                ),
                StartupMemory(worker: worker),
                api.database,
                server,
                // Its streams end before the server waits for the answers that are being given.
                api.hub,
                worker,
            ]
        // Stopped from the last to the first: the worker, then those who tell of it.
        let serviceGroup = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.map {
                    ServiceGroupConfiguration.ServiceConfiguration(
                        service: $0, successTerminationBehavior: .gracefullyShutdownGroup,
                        // Without a name it writes out all that the service holds, down to the routes of the server,
                        // which takes as long as everything else until the worker is ready.
                        failureTerminationBehavior: .cancelGroup, serviceName: "\(type(of: $0))")
                },
                logger: Logger(label: "lifecycle", factory: { _ in SwiftLogNoOpLogHandler() })))
        group.value = serviceGroup
        defer { leftOutLines?.tell(all: true) }
        do {
            try await serviceGroup.run()
        } catch let refusal as WorkerRefusal {
            throw Failure.configuration(refusal.description)
        } catch let error as ListenError {
            throw Failure.unavailable("\(error)")
        }
        // Before the last line.
        leftOutLines?.tell(all: true)
        logger.log(.workerStopped, metadata: ["REASON": "\(reason.value)"])
    }

    /// Sockets that systemd passed win over the one to be made.
    private func addresses(_ directory: RuntimeDirectory) throws -> [ListenAddress] {
        var addresses: [ListenAddress] = []
        do throws(SystemdError) {
            for socket in try ListenSockets.take() where ListenSockets.isListening(socket.descriptor) {
                addresses.append(.descriptor(socket.descriptor))
            }
        } catch {
            throw Failure.unavailable("\(error)")
        }
        if addresses.isEmpty {
            addresses.append(.unixSocket(path: configuration[Catalog.socket] ?? directory.socketPath))
        }
        if let tcp = configuration[Catalog.httpListen] { addresses.append(.tcp(host: tcp.host, port: tcp.port)) }
        return addresses
    }

    // MARK: Parts

    private func instanceLock(_ directory: RuntimeDirectory) -> InstanceLock? {
        do throws(InstanceLock.Failure) {
            return try InstanceLock.take(instance: identity.instance, directory: directory.path)
        } catch {
            logger.log(.instanceLockMissing, metadata: ["REASON": "\(error)"])
            return nil
        }
    }

    private func settings(_ connection: Secret?, _ purpose: String) -> ConnectionSettings {
        ConnectionSettings(
            connectionString: connection?.withText { $0 } ?? "", applicationName: "jobworker \(purpose)")
    }

    private func apiParts(_ vault: KeyVault, _ client: Client) -> APIParts {
        let database = APIDatabase(settings(configuration[Catalog.databaseURL], "api"), logger: logger)
        let hub = EventHub(
            database: database, settings: settings(configuration.listenConnection, "events"), logger: logger)
        return APIParts(
            database: database, hub: hub,
            surface: HTTPSurface(
                database: database, hub: hub, silence: configuration[Catalog.staleAfter],
                staleAfter: configuration[Catalog.staleAfter], jobTimeout: configuration[Catalog.jobTimeout],
                vault: vault, client: client, apolloBaseURL: configuration[Catalog.apolloBaseURL],
                attemptTokens: vault.attemptTokens))
    }

    private func vault() throws -> KeyVault {
        guard let keys = configuration[Catalog.encryptionKeys] else { return KeyVault() }
        return try keys.text.withText { text in
            do throws(KeyVaultError) { return try KeyVault(parsing: text) } catch {
                throw Failure.configuration("\(error)")
            }
        }
    }

    private func enrichmentConfiguration() -> EnrichmentService.Configuration {
        var parts = EnrichmentService.Configuration()
        parts.apolloBaseURL = configuration[Catalog.apolloBaseURL]
        parts.requestsPerMinute = configuration[Catalog.apolloRateLimit]
        parts.cacheLifetime = configuration[Catalog.enrichmentCacheTTL]
        return parts
    }

    private func registry(_ enrichment: EnrichmentService) throws -> ProcessorRegistry {
        var registry = ProcessorRegistry()
        var all = enrichment.processors + processors
        if configuration[Catalog.diagnosticJobs] { all.append(DiagnosticProcessor()) }
        do throws(DuplicateJobType) {
            for processor in all { try registry.register(processor) }
        } catch {
            throw Failure.configuration("\(error)")
        }
        return registry
    }

    private func migration() -> JobWorker::JobWorker.Migration {
        let migrator = Migrator(settings: settings(configuration.migrateConnection, "migrate"))
        return { @Sendable in
            do {
                _ = try await migrator.migrate()
            } catch let failure as Migrator.Failure {
                throw WorkerRefusal(failure.description)
            } catch let error as PostgresError where !error.isTransient {
                throw WorkerRefusal("\(error)")
            }
        }
    }

    /// Brings in the schedules of files, then looks which types can't be served.
    private func whenConnected(_ pool: ConnectionPool) -> JobWorker::JobWorker.TypeCheck {
        let (schedules, columns) = (scheduleFolder(pool), columnCheck(pool))
        return { @Sendable in
            try await schedules(configuration).apply()
            return try await columns()
        }
    }

    private func scheduleFolder(_ pool: ConnectionPool) -> @Sendable (Configuration) -> ScheduleFolder {
        let logger = logger
        return { ScheduleFolder(path: $0[Catalog.schedules], store: JobStore(pool: pool), logger: logger) }
    }

    /// Enrichment is not served where its columns are missing: each job would be paid for and then fail.
    private func columnCheck(_ pool: ConnectionPool) -> JobWorker::JobWorker.TypeCheck {
        { @Sendable in
            let missing = try await ColumnCheck(pool: pool).missing()
            var unserved: [String: String] = [:]
            for (type, columns) in missing { unserved[type] = ColumnCheck.sentence([type: columns]) }
            return unserved
        }
    }
}

extension KeyVault {
    /// All workers with the same keys accept them; `nil` without keys.
    fileprivate var attemptTokens: AttemptTokens? { AttemptTokens(keys: derivedKeys(for: "attempt tokens")) }
}
