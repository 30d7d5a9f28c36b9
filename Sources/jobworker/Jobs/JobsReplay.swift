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
        var plan = OperationPlan()
        (plan.rate, plan.canary, plan.stopOnErrors) = (which.rate, care.canary, care.stopOnErrors)
        plan.changes = try set.map { try PayloadChange.read($0) }
        plan.payload = try payload.map { try PayloadChange.payload($0) }
        let session = try which.common.session(reason: which.why.reason)
        let run = OperationRun(session, which.common.printer)
        guard which.ids.isEmpty else {
            let plan = plan
            return try await run.run(which.ids, word: "added") {
                try await session.store.replay($0, plan, by: session.requester)
            }
        }
        try await run.run(.replay, verb: "replay", which.jobs([.failed]), plan, which.consent, isDetached: which.detach)
    }
}
