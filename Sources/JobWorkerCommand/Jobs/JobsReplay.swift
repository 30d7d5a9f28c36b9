import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct JobsReplay: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Adds new jobs like old ones, with other payloads if wished.",
        discussion: """
            The old jobs stay as they are; each new one names its own in replay_of. Without --status, options mean \
            failed jobs.

            Examples:
              jobworker jobs replay $ID --set account.region='"eu"'
              jobworker jobs replay --type report --since 2026-03-02 --canary 10 --rate 5/s --stop-on-errors 20
            """)

    @OptionGroup var which: OperationOptions

    @Option(
        help: ArgumentHelp(
            "Another value in the payload: path=value, the path with dots, the value as JSON, else as text. May be "
                + "given several times.", valueName: "path=value"))
    var set: [String] = []

    @Option(help: ArgumentHelp("In place of the payload: JSON, @FILE or - for standard input.", valueName: "payload"))
    var payload: String?

    @OptionGroup var care: CareOptions

    @MainActor func run() async throws {
        var plan = care.plan
        plan.changes = try set.map { try PayloadChange.read($0) }
        plan.payload = try payload.map { try PayloadChange.payload($0) }
        let one = plan
        try await which.carryOut(.replay, "replay", done: "added", [.failed], plan) {
            try await $0.store.replay($1, one, by: $0.requester)
        }
    }
}
