import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

/// Jobs to change: named ones, or all that a filter means.
struct ChangeOptions: ParsableArguments {
    @Argument(help: "Ids of jobs.", completion: Completions.jobs)
    var ids: [UUID] = []

    @OptionGroup var filter: FilterOptions

    @Flag(help: "Don't ask before changing all jobs that the options mean.")
    var yes = false

    @OptionGroup var why: ReasonOptions
    @Flag(name: [.customShort("n"), .long], help: "Only show how many jobs would be changed, and some of them.")
    var dryRun = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard ids.isEmpty || filter.filter.isEverything else {
            throw ValidationError("Name jobs, or give options that mean some.")
        }
    }

    @MainActor func run(_ action: JobChanging.Action) async throws {
        let changing = JobChanging(action, try common.session(reason: why.reason).source, common.printer)
        if ids.isEmpty {
            try await changing.run(filter.filter, dryRun ? .dryRun : yes ? .given : .asked)
        } else {
            try await changing.run(ids, isDryRun: dryRun)
        }
    }
}
