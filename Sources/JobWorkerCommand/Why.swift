import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct Why: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tells why a job has not started, was retried or failed, and what happens next.")

    @Argument(help: "The job's id.")
    var id: UUID

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        guard let explanation = try await common.session().explanation(of: id) else {
            throw JobChangeRefusal.notFound(id)
        }
        common.printer.show(WhyView(explanation))
    }
}
