import FoundationEssentials
import JobWorker
import Logging
import Support
import Testing

/// The man pages against the program itself, by another way than the script that writes them.
struct ManualTests {
    private struct Command: Decodable {
        struct Argument: Decodable {
            struct Name: Decodable { let name: String }

            let names: [Name]?
        }

        let commandName: String
        let shouldDisplay: Bool
        let arguments: [Argument]?
        let subcommands: [Command]?

        /// Those that do something, with the words that name them.
        func leaves(below path: [String] = []) -> [(path: [String], command: Command)] {
            let children = (subcommands ?? []).filter { $0.shouldDisplay && $0.commandName != "help" }
            if children.isEmpty { return [(path, self)] }
            return children.flatMap { $0.leaves(below: path + [$0.commandName]) }
        }
    }

    private struct Help: Decodable { let command: Command }

    /// A page as people read it: without the requests and escapes of roff.
    private func page(_ name: String) throws -> String {
        try PackagedFile.text("docs/man/\(name)").replacing("\\-", with: "-")
    }

    @Test func `jobworker(1) has a section for every command, with every option`() async throws {
        let dump = await runProgram([BuiltProgram.path("jobworker"), "--experimental-dump-help"]).output
        let commands = try JSONDecoder().decode(Help.self, from: Data(dump.utf8)).command.leaves()
        #expect(commands.count > 15)
        let sections = try page("jobworker.1").split(separator: "\n.S")
        for (path, command) in commands {
            let title = "S \(path.joined(separator: " "))\n"
            let section = try #require(sections.first { $0.hasPrefix(title) }, "\(title)")
            for name in (command.arguments ?? []).flatMap({ $0.names ?? [] }).map(\.name)
            where !["help", "version", "h"].contains(name) {
                #expect(section.contains("--\(name)"), "\(path): --\(name)")
            }
        }
        #expect(sections.count { $0.contains("\\fB--") } > 10)
    }

    @Test func `jobworker(8) has every setting, figure and message`() throws {
        let page = try page("jobworker.8")
        let settings = try PackagedFile.text("packaging/config.yaml").matches(of: /\n#([a-z0-9_]+):/).map {
            String($0.1)
        }
        #expect(settings.count > 30)
        for setting in settings { #expect(page.contains("\n.B \(setting.uppercased())\n"), "\(setting)") }
        for metric in MetricCatalog.all { #expect(page.contains("\n.B \(metric.name)\n"), "\(metric.name)") }
        for message in LogMessage.all {
            #expect(page.contains("\n.B \(message.id)\n\(message.text)"), "\(message.text)")
        }
    }

    @Test func `the operating guide has every figure and message`() throws {
        let guide = try PackagedFile.text("docs/operating.md")
        for metric in MetricCatalog.all { #expect(guide.contains("\n| `\(metric.name)` | \(metric.kind.rawValue) |")) }
        for message in LogMessage.all {
            #expect(guide.contains("\n| `\(message.text)` | \(message.level.rawValue) | `\(message.id)` |"))
        }
    }
}
