import ArgumentParser
import Console
import JobWorker

struct QueuesSet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Sets what holds for queues over all workers.",
        discussion: """
            What isn't named stays. It holds from the next claim on; running jobs go on. A cap is never exceeded, \
            whatever the number of workers.
            """)

    @Argument(help: "Names of queues.", completion: Completions.queues)
    var names: [String]

    @Option(
        help: ArgumentHelp("Most jobs at once over all workers; 'none' for no cap.", valueName: "n"),
        transform: QueuesSet.numberOrNone)
    var maxRunning: OrNone<Int>?

    @Option(help: ArgumentHelp("The queue's share beside others', from 1 to 1000; 1 by default.", valueName: "n"))
    var weight: Int?

    @Option(
        help: ArgumentHelp(
            "So long a wait is worth a step of priority, so that low ones can't starve: 10m; 'none' for never.",
            valueName: "length"), transform: QueuesSet.lengthOrNone)
    var ageing: OrNone<Duration>?

    @Flag(inversion: .prefixedNo, help: "Workspaces take turns.")
    var fair: Bool?

    @Flag(inversion: .prefixedNo, help: "What has failed for good is set aside at once, as a dead letter.")
    var deadLetter: Bool?

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    /// What may be taken back. An optional of its own would be there even where the option isn't given.
    struct OrNone<Value: Sendable>: Sendable {
        let value: Value?
    }

    private static func numberOrNone(_ text: String) throws -> OrNone<Int> {
        if text == "none" { return OrNone(value: nil) }
        guard let number = Int(text), (0...100_000).contains(number) else {
            throw ValidationError("must be a whole number from 0 to 100000, or 'none'")
        }
        return OrNone(value: number)
    }

    private static func lengthOrNone(_ text: String) throws -> OrNone<Duration> {
        if text == "none" { return OrNone(value: nil) }
        let length = try lengthOfTime(text)
        guard length >= .milliseconds(1) else { throw ValidationError("must be longer than nothing, or 'none'") }
        return OrNone(value: length)
    }

    func validate() throws {
        try QueueNames.check(names)
        if let weight, !(1...1000).contains(weight) { throw ValidationError("--weight must be from 1 to 1000.") }
        guard maxRunning != nil || weight != nil || ageing != nil || fair != nil || deadLetter != nil else {
            throw ValidationError("Say what is to be set: --max-running, --weight, --ageing, --fair or --dead-letter.")
        }
    }

    @MainActor func run() async throws {
        var rules = QueueRules()
        rules.maxRunning = maxRunning.map(\.value)
        rules.weight = weight
        rules.ageing = ageing.map(\.value)
        rules.isFair = fair
        rules.deadLetter = deadLetter
        let session = try common.session(reason: why.reason)
        for name in names { try await session.store.setRules(rules, queue: name, by: session.requester) }
        let queues = try await session.store.queues()
        common.printer.show(QueueListView(names.compactMap { name in queues.first { $0.name == name } }))
    }
}
