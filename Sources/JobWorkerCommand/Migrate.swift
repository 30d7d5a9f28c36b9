import ArgumentParser
import Console
import JobWorker

struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Brings the database to this program's schema.",
        discussion: """
            Uses MIGRATE_DATABASE_URL, else DATABASE_URL; the role has to own the tables. Several at once are safe: one \
            migrates, the others wait.
            """)

    @Flag(help: "Show what would be done, and change nothing.")
    var dryRun = false

    @Flag(help: "Show where each migration stands.")
    var status = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if dryRun && status { throw ValidationError("--dry-run and --status exclude each other.") }
    }

    @MainActor func run() async throws {
        let migrator = try common.session().migrator
        if dryRun {
            common.printer.show(
                MigrationsView(try await migrator.status(), policies: try await migrator.policiesToReplace()))
        } else if status {
            common.printer.show(MigrationsView(try await migrator.status()))
        } else {
            let progress = MigrationProgress(isQuiet: common.json)
            _ = try await migrator.migrate(report: progress.report)
            common.printer.show(progress)
        }
    }
}
