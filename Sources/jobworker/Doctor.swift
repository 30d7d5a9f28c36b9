import ArgumentParser
import Console
import Doctor

struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Finds what is wrong with a set-up and says what to do.",
        discussion: "Looks only, changes nothing. Status 1 where something keeps jobs from running.")

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let view = FindingsView(await Examination(common.sources).run())
        common.printer.show(view)
        if !view.isHealthy { throw ExitCode(ExitStatus.failed.rawValue) }
    }
}
