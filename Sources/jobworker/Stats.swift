import ArgumentParser
import Console
import Doctor
import FoundationEssentials

struct Stats: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Shows figures about jobs and queues.")

    @Flag(help: "Show them again and again until Ctrl-C.")
    var watch = false

    @Option(help: ArgumentHelp("Time between two looks.", valueName: "length"), transform: lengthOfTime)
    var interval = Duration.seconds(2)

    @Option(help: ArgumentHelp("Only the jobs of this workspace.", valueName: "uuid"))
    var workspace: UUID?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard interval >= .milliseconds(100) else { throw ValidationError("--interval must be at least 100ms.") }
    }

    @MainActor func run() async throws {
        let session = try common.session()
        guard watch else { return common.printer.show(try await session.statistics(workspaceID: workspace)) }
        try await untilInterrupted {
            try await Watching(common.printer, interval: interval).views {
                try await session.statistics(workspaceID: workspace)
            }
        }
    }
}
