import ControlPlane
import JobWorker
import Logging
import Logs
import Settings
import Systemd
import Tokens

/// Reads the settings again while the worker runs, and applies what may change.
actor Reload {
    private let sources: Sources
    private(set) var current: Configuration
    private let worker: JobWorker::JobWorker
    private let authentication: Authentication
    private let schedules: @Sendable (Configuration) -> ScheduleFolder
    private let types: ServedHandlers
    private let logLevel: LogLevelSetting
    private let notifier: Notifier
    private let logger: Logger

    init(
        sources: Sources, current: Configuration, worker: JobWorker::JobWorker, authentication: Authentication,
        schedules: @escaping @Sendable (Configuration) -> ScheduleFolder, types: ServedHandlers,
        logLevel: LogLevelSetting, notifier: Notifier, logger: Logger
    ) {
        self.sources = sources
        self.current = current
        self.worker = worker
        self.authentication = authentication
        self.schedules = schedules
        self.types = types
        self.logLevel = logLevel
        self.notifier = notifier
        self.logger = logger
    }

    /// A mistake leaves the old settings in force, all of them.
    func run() async {
        notifier.reloading()
        // Also after a mistake: the process goes on, and 'systemctl reload' must not wait for ever.
        defer { notifier.ready() }
        let new: Configuration
        do throws(SettingsReport) {
            new = try Configuration.load(sources)
        } catch {
            logger.log(.settingsRefused, metadata: ["ERROR": "\(error)"])
            return
        }
        let members: TokenVerifier?
        do throws(MemberKeysProblem) {
            members = try new.memberVerifier()
        } catch {
            logger.log(.settingsRefused, metadata: ["ERROR": "\(error)"])
            return
        }
        let changes = current.changes(to: new)
        worker.reconfigure { $0.takeOver(new) }
        authentication.replaceOperators(with: new.operatorDigests)
        authentication.replaceMembers(with: members)
        if let level = Logger.Level(rawValue: new[Catalog.logLevel].rawValue) { logLevel.level = level }
        let later = changes.filter { $0.reload == .restart }.map(\.name)
        logger.log(
            .settingsReloaded,
            metadata: ["CHANGED": "\(changes.filter { $0.reload == .live }.map(\.name).joined(separator: ", "))"])
        if !later.isEmpty {
            logger.log(.settingsNeedRestart, metadata: ["SETTINGS": "\(later.joined(separator: ", "))"])
        }
        current = new
        await types.load(new[Catalog.handlers])
        worker.serve(types.registry)
        await types.retire()
        do {
            try await schedules(new).apply()
        } catch {
            logger.log(
                .scheduleFileRefused,
                metadata: ["PROBLEM": "\(new[Catalog.schedules]): \(error); reload again once the database answers"])
        }
    }
}
