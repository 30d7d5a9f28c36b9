import ArgumentParser
import Console
import JobWorker

struct SchedulesPause: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Keeps a schedule from making jobs.",
        discussion: "Jobs that it has made already are run. 'resume' lets it go on.")

    @OptionGroup var which: ScheduleChoice
    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws { try await which.enable(false, common, reason: why.reason) }
}

struct SchedulesResume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Lets a paused schedule make jobs again.",
        discussion: "From now on: what it would have made while it was paused is not made up for.")

    @OptionGroup var which: ScheduleChoice
    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws { try await which.enable(true, common, reason: why.reason) }
}
