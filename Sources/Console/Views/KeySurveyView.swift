package import Enrichment
import Postgres
package import Terminal

/// How the stored Apollo keys are protected.
package struct KeySurveyView: View {
    private let survey: KeyRotation.Survey
    private let current: String?

    /// - Parameter current: The id of the key that encrypts; `nil` without any.
    package init(_ survey: KeyRotation.Survey, current: String?) {
        self.survey = survey
        self.current = current
    }

    /// Whether every stored key can be used.
    package var isUsable: Bool { survey.unreadable.isEmpty && survey.unreadableWebhooks.isEmpty }

    package func text(for screen: Screen) -> String {
        var table = Table([
            .init("ENCRYPTED WITH"), .init("APOLLO KEYS", .right), .init("WEBHOOKS", .right), .init("NOTE"),
        ])
        if let current, survey.encrypted[current] == nil, survey.encryptedSecrets[current] == nil {
            table.add([.init(current), "0", "0", "encrypts what is set now"])
        }
        for id in Set(survey.encrypted.keys).union(survey.encryptedSecrets.keys).sorted() {
            table.add([
                .init(id), .init(String(survey.encrypted[id] ?? 0)), .init(String(survey.encryptedSecrets[id] ?? 0)),
                id == current ? "encrypts what is set now" : .init("'jobworker keys rotate' moves them", .caution),
            ])
        }
        if survey.unprotected > 0 {
            table.add([
                "nothing", .init(String(survey.unprotected)), "0",
                .init("can be read by whoever reads the row: 'jobworker keys rotate'", .caution),
            ])
        }
        var text = table.text(for: screen)
        for workspace in survey.unreadable {
            text += screen.palette.paint("can't be decrypted", .bad) + ": the key of workspace \(workspace.text)\n"
        }
        for webhook in survey.unreadableWebhooks {
            text += screen.palette.paint("can't be decrypted", .bad) + ": the secret of webhook \(webhook.text)\n"
        }
        return text
    }

    package var json: JSON {
        .object([
            ("current", JSON(current)),
            ("encrypted", .object(survey.encrypted.sorted { $0.key < $1.key }.map { ($0.key, .integer($0.value)) })),
            ("unprotected", .integer(survey.unprotected)), ("unreadable", JSON(survey.unreadable.map(\.text))),
            (
                "encrypted_webhooks",
                .object(survey.encryptedSecrets.sorted { $0.key < $1.key }.map { ($0.key, .integer($0.value)) })
            ), ("unreadable_webhooks", JSON(survey.unreadableWebhooks.map(\.text))),
        ])
    }
}
