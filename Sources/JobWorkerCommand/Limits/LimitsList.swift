import ArgumentParser
import Console
import JobWorker

struct LimitsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the limits, and what of them is in use.",
        usage: "jobworker limits list [<options>]")

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let limits = try await common.session().store.limits()
        common.printer.show(LimitListView(limits))
        if limits.isEmpty { common.printer.hint("There are no limits. 'jobworker limits set' adds one.") }
    }
}
