import ArgumentParser
import Console
import FoundationEssentials
import JobWorker
import Logging
import Settings
import Terminal

/// `jobworker reference`: the catalogues as one JSON document, from which `scripts/documents` makes parts of the
/// manual. Not shown in the help.
struct Reference: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reference", abstract: "Prints settings, figures and log messages for the manual.",
        shouldDisplay: false)

    private struct Document: Encodable {
        struct Setting: Encodable {
            let section, name, allowed, help, fallback, example: String
            let needsRestart, isSecret: Bool
        }

        struct Metric: Encodable {
            let name, kind, help: String
            let labels: [String]
        }

        struct Message: Encodable {
            let id, level, text: String
            let isAlwaysWritten: Bool
        }

        let settings: [Setting]
        let metrics: [Metric]
        let messages: [Message]
    }

    func run() throws {
        let document = Document(
            settings: Catalog.sections.flatMap { section in
                section.settings.map { setting in
                    Document.Setting(
                        section: section.title, name: setting.name, allowed: setting.allowed, help: setting.help,
                        fallback: setting.fallbackText, example: setting.example,
                        needsRestart: setting.reload == .restart, isSecret: setting.isSecret)
                }
            },
            metrics: MetricCatalog.all.map {
                Document.Metric(name: $0.name, kind: $0.kind.rawValue, help: $0.help, labels: $0.labels)
            },
            messages: LogMessage.all.map {
                Document.Message(
                    id: $0.id, level: $0.level.rawValue, text: $0.text, isAlwaysWritten: $0.isAlwaysWritten)
            })
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        Output.standard.line(String(decoding: try encoder.encode(document), as: UTF8.self))
    }
}
