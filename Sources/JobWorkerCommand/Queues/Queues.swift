import ArgumentParser
import Console
import JobWorker

struct Queues: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the queues, pauses them, and sets their rules.",
        subcommands: [QueuesList.self, QueuesPause.self, QueuesResume.self, QueuesSet.self],
        defaultSubcommand: QueuesList.self)
}

struct QueuesList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the queues: what waits and runs in them.",
        usage: "jobworker queues list [<options>]")

    @OptionGroup var watching: WatchOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let source = try common.session().source
        let printer = common.printer
        try await watching.show(printer) {
            QueueListView(try await source.queues())
        } then: { view in
            if view.isEmpty { printer.hint("Nothing waits or runs, and no queue is set up.") }
        }
    }
}

struct QueuesPause: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Keeps the jobs of queues from being started.",
        discussion: "Running jobs go on. What waits stays, also over restarts, until the queue is resumed.")

    @Argument(help: "Names of queues.", completion: Completions.queues)
    var names: [String]

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    func validate() throws { try QueueNames.check(names) }

    @MainActor func run() async throws { try await QueuePausing(common, reason: why.reason).run(names, isPaused: true) }
}

struct QueuesResume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Lets the jobs of queues be started again.")

    @Argument(help: "Names of queues.", completion: Completions.queues)
    var names: [String]

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    func validate() throws { try QueueNames.check(names) }

    @MainActor func run() async throws {
        try await QueuePausing(common, reason: why.reason).run(names, isPaused: false)
    }
}

enum QueueNames {
    static func check(_ names: [String]) throws {
        for name in names where !(1...50).contains(name.unicodeScalars.count) || name == "*" {
            throw ValidationError("'\(name)' is no name of a queue: 1 to 50 characters.")
        }
    }
}

/// Pauses and resumes.
@MainActor
private struct QueuePausing {
    private let common: CommonOptions
    private let reason: String?

    init(_ common: CommonOptions, reason: String?) { (self.common, self.reason) = (common, reason) }

    func run(_ names: [String], isPaused: Bool) async throws {
        let source = try common.session(reason: reason).source
        let known = Set(try await source.queues().map(\.name))
        for name in names {
            // A name that is mistyped would pause a queue nobody uses.
            if !isPaused, !known.contains(name) {
                throw Complaint(
                    .notFound, "there is no queue '\(name)'", advice: "'jobworker queues list' shows those there are.")
            }
            if isPaused, !known.contains(name) {
                common.printer.remark("jobworker: nothing waits or runs in '\(name)' now, and it was not set up before")
            }
            let isChanged = try await source.setPaused(isPaused, queue: name)
            if !isChanged {
                common.printer.remark("jobworker: '\(name)' is \(isPaused ? "paused already" : "not paused")")
            }
        }
        let queues = try await source.queues()
        common.printer.show(QueueListView(names.compactMap { name in queues.first { $0.name == name } }))
    }
}
