import ArgumentParser
import Console
import Enrichment

struct KeysGenerate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Prints a new key for WORKER_ENCRYPTION_KEYS.",
        discussion: """
            Put it in front of the others, separated by a comma: the first encrypts, all decrypt. Then restart the \
            workers and run 'jobworker keys rotate'; after that the older ones may go.
            """)

    @Option(
        help: ArgumentHelp(
            "Its name: 1 to 32 letters, digits, '.', '_' or '-'; the date by default.", valueName: "name"))
    var id: String?

    @MainActor func run() async throws {
        let printer = Printer(isJSON: false)
        printer.lines([try KeyNames.generate(id: id)])
        printer.hint("Keep it secret, and keep a copy: without it the stored Apollo keys can't be read.")
    }
}
