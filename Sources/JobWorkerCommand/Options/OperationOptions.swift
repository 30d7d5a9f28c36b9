import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

/// Jobs to change in a way that may take long: named ones, or all that a filter means.
struct OperationOptions: ParsableArguments {
    @Argument(help: "Ids of jobs.", completion: Completions.jobs)
    var ids: [UUID] = []

    @OptionGroup var filter: FilterOptions

    @Option(help: ArgumentHelp("With errors of this group, as 'dlq groups' lists them.", valueName: "group"))
    var group: String?

    @Option(
        help: ArgumentHelp(
            "So many jobs and no more: 10/s, 600/m or 5000/h. The workers keep to it when this command has ended.",
            valueName: "rate"), transform: jobRate)
    var rate: Double?

    @Flag(help: "Don't ask before changing all jobs that the options mean.")
    var yes = false

    @Flag(help: "Leave it to the workers, and end at once; 'jobworker operations' shows how far it is.")
    var detach = false

    @Flag(name: [.customShort("n"), .long], help: "Only show how many jobs would be changed, and some of them.")
    var dryRun = false

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard ids.isEmpty || (filter.filter.isEverything && group == nil) else {
            throw ValidationError("Name jobs, or give options that mean some.")
        }
        guard ids.isEmpty || (rate == nil && !detach && !dryRun) else {
            throw ValidationError("--rate, --detach and --dry-run go with options that mean many jobs.")
        }
        guard group.map({ $0.count == 12 && $0.allSatisfy(\.isHexDigit) }) ?? true else {
            throw ValidationError("--group takes the twelve digits that 'dlq groups' shows.")
        }
        guard !ids.isEmpty || !filter.filter.isEverything || group != nil else {
            throw ValidationError("Say which jobs: ids, or options such as --workspace, --type and --group.")
        }
    }

    /// Changes the named jobs, one after the other and at once; else begins an operation on all that the options mean.
    /// - Parameters:
    ///   - statuses: What options without a status mean.
    ///   - plan: All but the rate.
    ///   - change: Of one job.
    @MainActor func carryOut(
        _ action: Operation.Action, _ verb: String, done: String, _ statuses: [JobStatus],
        _ plan: OperationPlan = OperationPlan(), change: (Session, UUID) async throws -> JobSummary
    ) async throws {
        let session = try common.session(reason: why.reason)
        let run = OperationRun(session, common.printer)
        guard ids.isEmpty else { return try await run.run(ids, word: done) { try await change(session, $0) } }
        var filter = filter.filter
        filter.errorGroup = group
        if filter.statuses.isEmpty { filter.statuses = statuses }
        var plan = plan
        plan.rate = rate
        try await run.run(
            action, verb: verb, filter, plan, dryRun ? .dryRun : yes ? .given : .asked, isDetached: detach)
    }
}

/// Which way an operation is begun carefully.
struct CareOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Begin with so many; the rest follows once all of them have completed.", valueName: "n"))
    var canary: Int?

    @Option(
        help: ArgumentHelp(
            "Stop when more than so many percent of the jobs that have ended failed.", valueName: "percent"))
    var stopOnErrors: Double?

    var plan: OperationPlan {
        var plan = OperationPlan()
        (plan.canary, plan.stopOnErrors) = (canary, stopOnErrors)
        return plan
    }

    func validate() throws {
        guard canary.map({ $0 > 0 }) ?? true else { throw ValidationError("--canary must be 1 or more.") }
        guard stopOnErrors.map({ (0...100).contains($0) }) ?? true else {
            throw ValidationError("--stop-on-errors must be from 0 to 100.")
        }
    }
}

/// Jobs a second, from `10/s`, `600/m`, `5000/h` or a number.
@Sendable func jobRate(_ text: String) throws -> Double {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    let seconds: [Substring: Double] = ["s": 1, "m": 60, "h": 3600]
    guard let number = Double(parts[0]), number > 0, number.isFinite,
        let unit = parts.count == 1 ? 1 : seconds[parts[1]], number / unit <= 100_000
    else { throw ValidationError("must be jobs a second, minute or hour: 10/s, 600/m, 5000/h") }
    return number / unit
}
