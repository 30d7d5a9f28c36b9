import ArgumentParser
import Console
import JobWorker

struct QueuesSet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Sets what holds for a queue over all workers.")

    @Argument(help: "The queue's name.", completion: Completions.queues)
    var name: String

    @Flag(inversion: .prefixedNo, help: "Whether what has failed for good is set aside at once, as a dead letter.")
    var deadLetter: Bool?

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...50).contains(name.unicodeScalars.count), name != "*" else {
            throw ValidationError("'\(name)' is no name of a queue: 1 to 50 characters.")
        }
        guard deadLetter != nil else { throw ValidationError("Say what to set, as --dead-letter.") }
    }

    @MainActor func run() async throws {
        let session = try common.session(reason: why.reason)
        if let deadLetter {
            try await session.store.setDeadLetter(deadLetter, queue: name, by: session.requester)
        }
        common.printer.show(QueueListView(try await session.store.queues().filter { $0.name == name }))
    }
}
