import ControlPlane
import JobWorker
import Settings
import Glibc

extension WorkerConfiguration {
    /// What the settings say, and who this process is.
    init(_ configuration: Configuration, identity: Identity, version: String, holdsInstanceLock: Bool) {
        self.init(workerID: identity.workerID)
        instance = identity.instance
        host = identity.host
        machineID = identity.machineID
        self.holdsInstanceLock = holdsInstanceLock
        self.version = version
        pid = Int(getpid())
        heartbeatInterval = configuration[Catalog.heartbeatInterval]
        staleAfter = configuration[Catalog.staleAfter]
        // A program has ten seconds from SIGTERM to SIGKILL, and must be gone before its job is given to others.
        cancellationGrace = .seconds(11)
        takeOver(configuration)
    }

    /// What may change while jobs run.
    mutating func takeOver(_ configuration: Configuration) {
        queues = configuration[Catalog.queues].map { Queue(name: $0.name, maxConcurrent: $0.maxConcurrent) }
        maxConcurrent = configuration[Catalog.maxConcurrent]
        pollInterval = configuration[Catalog.pollInterval]
        jobTimeout = configuration[Catalog.jobTimeout]
        shutdownTimeout = configuration[Catalog.shutdownTimeout]
        webhooksReachPrivate = configuration[Catalog.webhookAllowPrivate]
        webhookFailuresMax = configuration[Catalog.webhookFailuresMax]
        webhookKeep = configuration[Catalog.webhookKeep]
        retentionDays = Dictionary(
            uniqueKeysWithValues: configuration[Catalog.retention].byStatus.map { ($0.status, $0.days) })
        archives = configuration[Catalog.retentionArchive]
        lifecycleLogs = JobLogLevel(rawValue: configuration[Catalog.jobLogs].rawValue)
        alerts = AlertRules(
            interval: configuration[Catalog.alertInterval], deadLetters: configuration[Catalog.alertDeadLetters],
            queueDepth: configuration[Catalog.alertQueueDepth], stalledAfter: configuration[Catalog.alertStalled],
            tellsLostWorkers: configuration[Catalog.alertLostWorkers])
        retry = RetryPolicy(
            delayBase: configuration[Catalog.retryDelayBase], delayMax: configuration[Catalog.retryDelayMax],
            jitter: configuration[Catalog.retryJitter])
    }
}

extension Configuration {
    /// The operators' tokens, as they are compared.
    var operatorDigests: [OperatorDigest] {
        self[Catalog.secretToken].map { entry in
            entry.token.withBytes { OperatorDigest(name: entry.name, token: $0) }
        }
    }
}
