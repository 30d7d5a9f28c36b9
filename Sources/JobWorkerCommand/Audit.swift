import ArgumentParser
import Console
import FoundationEssentials
import JobWorker
import Postgres

struct Audit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows who did what.", subcommands: [AuditList.self], defaultSubcommand: AuditList.self)
}

struct AuditList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists what people changed, the latest first: who, how, what, before and after.",
        discussion: "Secrets and payloads are not kept.")

    @Option(help: ArgumentHelp("What was done to this job.", valueName: "uuid"))
    var job: UUID?

    @Option(help: ArgumentHelp("In this workspace.", valueName: "uuid"))
    var workspace: UUID?

    @Option(help: ArgumentHelp("By this one: operator:NAME, user:UUID or role:NAME.", valueName: "actor"))
    var actor: String?

    @Option(help: ArgumentHelp("This action, such as job.cancel; may be given several times.", valueName: "action"))
    var action: [String] = []

    @Option(help: ArgumentHelp("Done this way: api, cli, dashboard or sql.", valueName: "way"))
    var via: String?

    @Option(
        help: ArgumentHelp("Not before this time, as 2026-03-02T08:15:00Z.", valueName: "time"), transform: pointInTime)
    var since: Timestamp?

    @Option(help: ArgumentHelp("Before this time.", valueName: "time"), transform: pointInTime)
    var until: Timestamp?

    @Option(help: ArgumentHelp("Most entries to list, 1 to 1000.", valueName: "n"))
    var limit = 50

    @Option(help: ArgumentHelp("Begin where the last page ended: its next_cursor.", valueName: "cursor"))
    var cursor: Int?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000.") }
        guard via.map({ ["api", "cli", "dashboard", "sql", "worker"].contains($0) }) ?? true else {
            throw ValidationError("--via must be api, cli, dashboard or sql.")
        }
    }

    @MainActor func run() async throws {
        var filter = AuditFilter()
        filter.jobID = job
        filter.workspaceID = workspace
        filter.actor = actor
        filter.actions = action
        filter.via = via
        filter.since = since
        filter.until = until
        let page = try await common.session().store.audit(filter, before: cursor, limit: limit)
        common.printer.show(AuditView(page))
        if page.entries.isEmpty { common.printer.hint("No entry matches.") }
        if let next = page.next { common.printer.hint("There are more: --cursor \(next)") }
    }
}
