import ArgumentParser
import Console
import Doctor

struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Finds what is wrong with a set-up and says what to do.",
        discussion: """
            Looks only; what it tries out in the database, it takes back. Warnings are what works, but not as it should. \
            Exit status: 0 where nothing keeps jobs from running, else 1; 69 where the database can't be reached, 77 \
            where it refuses the role, 78 where settings are wrong.
            """)

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let view = FindingsView(await Examination(common.sources).run())
        common.printer.show(view)
        if view.status != .done { throw ExitCode(view.status.rawValue) }
    }
}
