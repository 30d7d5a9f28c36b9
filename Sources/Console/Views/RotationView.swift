package import Enrichment
import Postgres
package import Terminal

/// What a rotation of the encryption keys has done.
package struct RotationView: View {
    private let report: KeyRotation.Report

    package init(_ report: KeyRotation.Report) { self.report = report }

    /// Whether every stored key is encrypted with the current one now.
    package var isComplete: Bool { report.unreadable.isEmpty && report.unreadableWebhooks.isEmpty }

    package func text(for screen: Screen) -> String {
        var text = "\(report.rotated) encrypted anew"
        if report.changedMeanwhile > 0 { text += ", \(report.changedMeanwhile) set by somebody meanwhile" }
        text += "\n"
        for workspace in report.unreadable {
            text += screen.palette.paint("can't be decrypted", .bad) + ": the key of workspace \(workspace.text)\n"
        }
        for webhook in report.unreadableWebhooks {
            text += screen.palette.paint("can't be decrypted", .bad) + ": the secret of webhook \(webhook.text)\n"
        }
        return text
    }

    package var json: JSON {
        .object([
            ("rotated", .integer(report.rotated)), ("changed_meanwhile", .integer(report.changedMeanwhile)),
            ("unreadable", JSON(report.unreadable.map(\.text))),
            ("unreadable_webhooks", JSON(report.unreadableWebhooks.map(\.text))),
        ])
    }
}
