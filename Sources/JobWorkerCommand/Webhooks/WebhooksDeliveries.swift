import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct WebhooksDeliveries: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deliveries", abstract: "Lists what was sent, newest first, and what came of it.")

    enum State: String, ExpressibleByArgument, CaseIterable { case pending, delivered, failed }

    @Argument(help: "Only to the endpoint with this id.")
    var webhook: UUID?

    @Option(help: ArgumentHelp("Only about this job.", valueName: "uuid"))
    var job: UUID?

    @Option(help: ArgumentHelp("Only those in this state.", valueName: "pending|delivered|failed"))
    var status: State?

    @Option(name: .shortAndLong, help: ArgumentHelp("How many, 1 to 10000.", valueName: "n"))
    var number = 50

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...10_000).contains(number) else { throw ValidationError("--number must be from 1 to 10000.") }
    }

    @MainActor func run() async throws {
        let deliveries = try await common.session().store.deliveries(
            DeliveryFilter(endpointID: webhook, jobID: job, status: status?.rawValue), limit: number)
        common.printer.show(DeliveryListView(deliveries))
        if deliveries.isEmpty { common.printer.hint("Nothing was sent.") }
    }
}
