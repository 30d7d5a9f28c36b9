import ArgumentParser
import Console
import Settings

struct Config: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows every setting, its value and where it came from.",
        discussion: "Secrets stay hidden.")

    @Flag(help: "Print a configuration file with every setting explained, all commented out.")
    var sample = false

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let printer = common.printer
        guard !sample else { return printer.write(Catalog.sampleFile) }
        let configuration = try Configuration.load(common.sources)
        printer.show(SettingsView(configuration))
        configuration.warnings.forEach { printer.remark("jobworker: \($0)") }
    }
}
