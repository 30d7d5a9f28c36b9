import ArgumentParser
import Console
import JobWorker
import Postgres

struct DeadLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dlq",
        abstract: "Shows what failed for good, by its error, and settles it.",
        discussion: """
            Without --status, all of these mean failed jobs and those set aside (dead_letter); 'move' means failed ones.

            Examples:
              jobworker dlq groups --newer-than 1d
              jobworker dlq retry --group 3f2a90c41b7e --rate 10/s --stop-on-errors 20
              jobworker dlq discard --group 3f2a90c41b7e --reason 'the account is gone'
            """,
        subcommands: [
            DeadLettersGroups.self, DeadLettersList.self, DeadLettersRetry.self, DeadLettersMove.self,
            DeadLettersDiscard.self,
        ],
        defaultSubcommand: DeadLettersGroups.self)

    static let statuses: [JobStatus] = [.failed, .deadLetter]
}

struct DeadLettersGroups: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "groups", abstract: "Lists what failed by type and error, the largest group first.",
        usage: "jobworker dlq groups [<options>]",
        discussion: "Numbers, ids, quoted parts and hosts count as the same in an error.")

    @OptionGroup var filter: FilterOptions

    @Option(help: ArgumentHelp("Most groups to list, 1 to 1000.", valueName: "n"))
    var limit = 50

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000.") }
    }

    @MainActor func run() async throws {
        var filter = filter.filter
        if filter.statuses.isEmpty { filter.statuses = DeadLetters.statuses }
        let groups = try await common.session().store.errorGroups(filter, limit: limit)
        common.printer.show(ErrorGroupsView(groups))
        if groups.isEmpty { common.printer.hint("Nothing has failed for good.") }
    }
}

struct DeadLettersList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists failed jobs and those set aside, newest first.",
        usage: "jobworker dlq list [<options>]")

    @OptionGroup var filter: FilterOptions

    @Option(help: ArgumentHelp("With errors of this group, as 'dlq groups' lists them.", valueName: "group"))
    var group: String?

    @Option(help: ArgumentHelp("Most jobs to list, 1 to 1000.", valueName: "n"))
    var limit = 50

    @Option(help: ArgumentHelp("Begin where the last page ended: its next_cursor.", valueName: "cursor"))
    var cursor: JobCursor?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000.") }
    }

    @MainActor func run() async throws {
        var filter = filter.filter
        filter.errorGroup = group
        if filter.statuses.isEmpty { filter.statuses = DeadLetters.statuses }
        let view = JobListView(try await common.session().store.jobs(filter, after: cursor, limit: limit))
        common.printer.show(view)
        if view.isEmpty { common.printer.hint("No job matches.") }
        if let next = view.next { common.printer.hint("There are more: --cursor \(next.text)") }
    }
}

struct DeadLettersRetry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Tries failed jobs and those set aside again.",
        discussion: "A job whose unique key another one holds by now is skipped, and named.")

    @OptionGroup var which: OperationOptions
    @OptionGroup var care: CareOptions

    @MainActor func run() async throws {
        let session = try which.common.session(reason: which.why.reason)
        let run = OperationRun(session, which.common.printer)
        guard which.ids.isEmpty else {
            return try await run.run(which.ids, word: "retried") {
                try await session.store.retry($0, by: session.requester)
            }
        }
        var plan = OperationPlan()
        (plan.rate, plan.canary, plan.stopOnErrors) = (which.rate, care.canary, care.stopOnErrors)
        try await run.run(
            .retry, verb: "retry", which.jobs(DeadLetters.statuses), plan, which.consent, isDetached: which.detach)
    }
}

struct DeadLettersMove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "move", abstract: "Sets failed jobs aside, with a row in dead_letter_queue.")

    @OptionGroup var which: OperationOptions

    @MainActor func run() async throws {
        let session = try which.common.session(reason: which.why.reason)
        let run = OperationRun(session, which.common.printer)
        guard which.ids.isEmpty else {
            return try await run.run(which.ids, word: "set aside") {
                try await session.store.setAside($0, by: session.requester)
            }
        }
        var plan = OperationPlan()
        plan.rate = which.rate
        try await run.run(
            .deadLetter, verb: "set aside", which.jobs([.failed]), plan, which.consent, isDetached: which.detach)
    }
}

struct DeadLettersDiscard: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discard", abstract: "Deletes failed jobs and those set aside.",
        discussion: "Rows of dead_letter_queue stay, as ignored, with the reason as their note.")

    @OptionGroup var which: OperationOptions

    @MainActor func run() async throws {
        let session = try which.common.session(reason: which.why.reason)
        let run = OperationRun(session, which.common.printer)
        guard which.ids.isEmpty else {
            return try await run.run(which.ids, word: "discarded") {
                try await session.store.delete($0, by: session.requester)
            }
        }
        var plan = OperationPlan()
        plan.rate = which.rate
        try await run.run(
            .discard, verb: "discard", which.jobs(DeadLetters.statuses), plan, which.consent, isDetached: which.detach)
    }
}
