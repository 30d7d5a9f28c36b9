import ArgumentParser
import Console
import JobWorker

struct AlertsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the alerts that are open, the latest first.")

    @Flag(help: "Those that are over as well.")
    var all = false

    @Option(help: ArgumentHelp("Most alerts to list, 1 to 1000.", valueName: "n"))
    var limit = 50

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000.") }
    }

    @MainActor func run() async throws {
        let alerts = try await common.session().store.alerts(withEnded: all, limit: limit)
        common.printer.show(AlertListView(alerts))
        if alerts.isEmpty {
            common.printer.hint(all ? "There were no alerts." : "No alert is open. --all lists those that are over.")
        }
    }
}
