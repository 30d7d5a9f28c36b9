package import Logging

/// Every line of the log that people or programs may look for, declared once: its id, level and words.
///
/// The id never changes, whatever becomes of the words: it is the journal's `MESSAGE_ID`, by which
/// `journalctl MESSAGE_ID=…` finds the line and `journalctl -x` explains it (`packaging/jobworker.catalog`).
package struct LogMessage: Sendable {
    /// 128 bits as 32 hexadecimal digits in lower case, drawn at random once (`systemd-id128 new`).
    package let id: String
    package let level: Logger.Level
    package let text: String
    /// Whether it is written however many came before it.
    package let isAlwaysWritten: Bool
    /// Its id alone, which most lines carry: made once.
    package let metadata: Logger.Metadata

    /// The key of an event's metadata under which its id stands.
    package static let idKey = "message_id"

    private init(_ id: String, _ level: Logger.Level, _ text: String, isAlwaysWritten: Bool = false) {
        self.id = id
        self.level = level
        self.text = text
        self.isAlwaysWritten = isAlwaysWritten
        metadata = [LogMessage.idKey: .string(id)]
    }
}

extension LogMessage {
    // MARK: Life of the process

    /// It claims jobs from here on.
    package static let workerStarted = LogMessage(
        "7c1766cbc76f4996a2db2c5a02fd8797", .notice,
        "worker started", isAlwaysWritten: true)
    /// A first SIGTERM or SIGINT came.
    package static let drainBegun = LogMessage(
        "5bf059231b8f488e890a2b4dd56f176d", .notice,
        "stopping: running jobs may end", isAlwaysWritten: true)
    /// A second signal came.
    package static let drainHurried = LogMessage(
        "ce0605bad85c48dfa713b47ebde60cef", .notice,
        "stopping at once: running jobs are given back", isAlwaysWritten: true)
    package static let drainWaits = LogMessage(
        "da522d37f8de4f3db9c74d78c2ee7d45", .notice,
        "waiting for running jobs", isAlwaysWritten: true)
    /// The last line of a process that ended by itself.
    package static let workerStopped = LogMessage(
        "5b5e582807fa4b5cb1edc44747fa26d2", .notice,
        "worker stopped", isAlwaysWritten: true)
    /// The control plane takes connections.
    package static let listening = LogMessage(
        "fd265f660c174df48969aa6a323ea2ea", .info,
        "listening", isAlwaysWritten: true)
    package static let loopStuck = LogMessage(
        "cfc1bbf080a444d2b37f21026747c663", .critical,
        "a loop hangs, systemd will end this process", isAlwaysWritten: true)

    // MARK: Settings

    package static let settingRemark = LogMessage(
        "fd98cfc4295740989b109f5b2ac8216f", .warning,
        "a setting deserves a look")
    package static let settingsReloaded = LogMessage(
        "515c05c4aadd48ae9229f2d72ef77aa3", .notice,
        "settings reloaded", isAlwaysWritten: true)
    package static let settingsRefused = LogMessage(
        "53964dcd7c164a1fb10015d75ab607cd", .error,
        "the settings were not reloaded: the old ones stay in force", isAlwaysWritten: true)
    package static let settingsNeedRestart = LogMessage(
        "d97ed677ba7f488c84df5cf589c3e904", .warning,
        "changed settings that take effect at the next start", isAlwaysWritten: true)
    package static let runtimeDirectoryMissing = LogMessage(
        "19693dc889c54d44a4a0e700e4b1730a", .warning,
        "the runtime directory can't be made")
    package static let instanceLockMissing = LogMessage(
        "bb73e266a71d479180e643e814ba6dfa", .warning,
        "without the instance's lock nothing is taken back from an earlier process at once")

    // MARK: Jobs

    /// An attempt begins.
    package static let jobStarted = LogMessage("49a3949dba3f4d3bb16bf0f66120cb8b", .info, "job started")
    package static let jobCompleted = LogMessage("f22ba802002d4d5e819dc9ec8529c832", .info, "job completed")
    package static let jobRetried = LogMessage("165c019921384f51ad28565c77a2beaf", .warning, "job failed, will retry")
    /// No attempt follows.
    package static let jobFailed = LogMessage("89de2ccd0b9c4dfa9142d04b2794b6a6", .error, "job failed")
    /// It is due again at a given time, and the attempt doesn't count.
    package static let jobWaits = LogMessage("44dbf2727d5c46d5b9bd20a84b8f1176", .info, "job waits")
    package static let jobReleased = LogMessage("6498c4c450bf46af961e948786463a7f", .notice, "job given back")
    package static let jobCancelled = LogMessage("4a6e8485b02848adad63d9b636f7899b", .info, "job cancelled")
    package static let jobFenced = LogMessage(
        "31048e1a396445e88a6434de283a2688", .warning,
        "claim lost: the job was taken back, deleted or settled by another run; nothing was written")
    package static let outcomeUnknown = LogMessage(
        "049db183d36249a49927faf94625ba5b", .warning,
        "the database did not take the outcome before the worker stopped; the job will be taken back")
    package static let jobsTakenBack = LogMessage(
        "818b19436b9b4c2aa70a72aa9c1990c0", .warning,
        "took back jobs whose worker fell silent")
    package static let predecessorTakenBack = LogMessage(
        "1c6daa3871a34234ba0598020c58f02f", .warning,
        "took back the jobs that an earlier process of this instance was running")
    package static let jobPoisoned = LogMessage(
        "f9a78cb3c5794b688471fbaa1c02a127", .error,
        "job given up: three workers died running it")
    package static let processorDeaf = LogMessage(
        "0730bc57664947e7ac4086b13b249374", .error,
        "a processor doesn't end although it was told to; its slot stays taken")
    package static let typeUnserved = LogMessage("f7f88c94a10a4dc0b71893e018fbc479", .error, "a job type is not served")
    package static let apolloRefusal = LogMessage(
        "c3a00a65173f455aaf7cc2d73e41aaf3", .warning,
        "apollo refuses the workspace's key")

    // MARK: Schedules

    package static let scheduleFailed = LogMessage(
        "2c5e91bce286a884373927298ef9475e", .error,
        "a schedule's tick made no job")
    /// The job of an earlier tick hasn't ended.
    package static let scheduleSkipped = LogMessage(
        "c74a8910715b296731910651bcb5b69a", .info,
        "a schedule's tick was skipped")
    package static let scheduleMissed = LogMessage(
        "5589cbc93cc47944164042c6226f13b2", .warning,
        "ticks of a schedule were missed and are not made up for")
    /// Told once; it is tried again every minute.
    package static let scheduleUnreadable = LogMessage(
        "98293bdd2e7d40cc8fc93ed59f40ea80", .warning,
        "this machine can't tell a schedule's times")
    /// Of the folder WORKER_SCHEDULES, at the start and at a reload.
    package static let schedulesApplied = LogMessage(
        "55a15e60d28ec3ff0ce89854e047c32d", .notice,
        "schedules of files applied", isAlwaysWritten: true)
    package static let scheduleFileRefused = LogMessage(
        "df2a0da06e094675f9dab142ef9bdece", .error,
        "a file of schedules was refused: what it said before stays in force", isAlwaysWritten: true)

    // MARK: Handlers

    package static let handlersLoaded = LogMessage(
        "e134a032f54d46f09de19ef369d452e5", .notice,
        "handlers of files loaded", isAlwaysWritten: true)
    package static let handlerFileRefused = LogMessage(
        "27c63d58d5d148a2994cd30394f5635f", .error,
        "a file of handlers was refused: what it said before stays in force", isAlwaysWritten: true)

    // MARK: Webhooks

    /// No further try follows.
    package static let webhookFailed = LogMessage(
        "30c3e16d415d472a8b39e0646db9aa80", .warning,
        "a webhook was never heard: its delivery is given up")
    package static let webhookDisabled = LogMessage(
        "d2ccc9cfed5a4f739048477de23cf342", .warning,
        "a webhook's endpoint was disabled", isAlwaysWritten: true)

    // MARK: Alerts

    /// Once for a situation, by the worker that found it.
    package static let alertRaised = LogMessage(
        "b3a308183f40488f94841024b41c47e6", .error,
        "alert raised", isAlwaysWritten: true)
    package static let alertResolved = LogMessage(
        "983071dff7dd4402abe71e59224fea18", .notice,
        "alert resolved", isAlwaysWritten: true)

    // MARK: Upkeep

    /// At the end of a walk that took some.
    package static let jobsRetired = LogMessage(
        "20fd2f27b4bd48d0bf14e528ced5547c", .info,
        "finished jobs went, as they were old enough")
    package static let upkeepFailed = LogMessage(
        "66a7afbf291b4f5f9e19385dd6480b4c", .error,
        "the database refused a step of upkeep")

    // MARK: Database

    /// At the start.
    package static let databaseUnreached = LogMessage(
        "d748025445134423af23534bdd7f260b", .error,
        "the database can't be reached yet")
    /// A poll or a heartbeat failed, the one before it hadn't.
    package static let databaseLost = LogMessage(
        "d0eecccf9217450c8db8e9ca1941f273", .error,
        "the database is lost, the worker goes on trying")
    package static let databaseFound = LogMessage(
        "8bca35dbf3714b50b0edd68b76c3086c", .notice,
        "the database answers again")
    package static let notificationsLost = LogMessage(
        "fc570c9d103144aa812be11de78f889e", .warning,
        "notifications are lost, polling goes on")
    package static let schemaBehind = LogMessage(
        "4f629ac9a74f4aee9bbbeb78dedbdaa5", .error,
        "the database's schema is older than this program: run 'jobworker migrate'")
    package static let schemaUpdating = LogMessage(
        "5ec7fa21edfa4c7c8fb52219d1caa0ef", .notice,
        "bringing the database's schema up to date")
    package static let outcomeWaits = LogMessage(
        "eaa88ea8d55d4a6fa61294e3906db08d", .warning,
        "an outcome waits for the database")
    package static let batchRefused = LogMessage(
        "30208847bc1242c58c22f72621a2d0c3", .warning,
        "a batch of outcomes was refused, storing it in halves")
    package static let outcomeRefused = LogMessage(
        "55dbb5084b564214a9d5d84977fcd5fa", .error,
        "an outcome can't be stored; the job will be taken back")

    // MARK: Watching

    /// One of the HTTP interface, by a mistake of ours.
    package static let requestFailed = LogMessage("a18f981be62b461597b4cf9a7fdf36a5", .error, "a request failed")
    /// Written with the level of what was left out, and with how many.
    package static let linesLeftOut = LogMessage(
        "cd3d5b0b072e4dcbb0d8cc400aa5bbf5", .warning,
        "lines like this were left out", isAlwaysWritten: true)
    package static let statsdLost = LogMessage(
        "929d6e9aea2e46b7968a823699b2bf2d", .warning,
        "figures can't be sent to the DogStatsD server")
    package static let statsdFound = LogMessage(
        "4852e374bd3c4e39b95512aebce1d6d0", .notice,
        "figures reach the DogStatsD server again")

    /// All of them, in the order in which they are explained.
    package static let all: [LogMessage] = [
        workerStarted, drainBegun, drainHurried, drainWaits, workerStopped, listening, loopStuck, settingRemark,
        settingsReloaded, settingsRefused, settingsNeedRestart, runtimeDirectoryMissing, instanceLockMissing,
        jobStarted, jobCompleted, jobRetried, jobFailed, jobWaits, jobReleased, jobCancelled, jobFenced,
        outcomeUnknown, jobsTakenBack, predecessorTakenBack, jobPoisoned, processorDeaf, typeUnserved, apolloRefusal,
        scheduleFailed, scheduleSkipped, scheduleMissed, scheduleUnreadable, schedulesApplied, scheduleFileRefused,
        handlersLoaded, handlerFileRefused,
        webhookFailed, webhookDisabled, alertRaised, alertResolved, jobsRetired, upkeepFailed, databaseUnreached,
        databaseLost, databaseFound, notificationsLost, schemaBehind, schemaUpdating, outcomeWaits, batchRefused,
        outcomeRefused, requestFailed, linesLeftOut, statsdLost, statsdFound,
    ]
}
