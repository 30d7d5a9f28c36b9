import ArgumentParser

struct Keys: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Handles encryption keys and the workspaces' Apollo keys.",
        discussion: "A secret comes from standard input or a file, never from the command line.",
        subcommands: [KeysGenerate.self, KeysSetApollo.self, KeysCheck.self, KeysRotate.self])
}
