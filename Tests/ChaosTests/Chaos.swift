import ArgumentParser

@main
struct Chaos: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chaos", abstract: "Breaks a running system at random and proves that no job suffers.",
        subcommands: [Attack.self, Figures.self, WorkerProgram.self], defaultSubcommand: Attack.self)
}
