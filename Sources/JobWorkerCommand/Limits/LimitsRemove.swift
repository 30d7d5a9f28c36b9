import ArgumentParser
import Console
import JobWorker

struct LimitsRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Removes limits; what they held back may start at once.")

    @Argument(help: "Names of limits.")
    var names: [String]

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let session = try common.session(reason: why.reason)
        for name in names {
            guard try await session.store.removeLimit(name, by: session.requester) else {
                throw Complaint(
                    .notFound, "there is no limit '\(name)'", advice: "'jobworker limits list' shows those there are.")
            }
        }
        common.printer.remark("Removed.")
    }
}
