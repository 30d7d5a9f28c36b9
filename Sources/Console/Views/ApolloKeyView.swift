package import Enrichment
package import FoundationEssentials
import Postgres
package import Terminal

/// A workspace's Apollo key: whether there is one, and whether Apollo accepts it.
package struct ApolloKeyView: View {
    private let workspace: UUID
    private let status: ApolloKey.Status
    private let test: ApolloKey.TestResult?

    /// - Parameter test: `nil` where Apollo wasn't asked.
    package init(workspace: UUID, status: ApolloKey.Status, test: ApolloKey.TestResult?) {
        self.workspace = workspace
        self.status = status
        self.test = test
    }

    /// Whether the key can be used, as far as it was looked at.
    package var isUsable: Bool { status.isConfigured && status.problem == nil && test?.success != false }

    package func text(for screen: Screen) -> String {
        guard status.isConfigured else { return "No Apollo key is stored for workspace \(workspace.text).\n" }
        var lines = ["stored" + (status.lastFour.map { ", ends in \($0)" } ?? "")]
        switch status.protection {
        case .encrypted(let id): lines.append("encrypted with '\(id)'")
        case Optional.some(.none): lines.append("not encrypted: 'jobworker keys rotate' does that")
        case nil: break
        }
        if let problem = status.problem { lines.append(problem) }
        if let test { lines.append(test.success ? "accepted by Apollo" : (test.errorMessage ?? "refused").oneLine) }
        return lines.joined(separator: "\n") + "\n"
    }

    package var json: JSON {
        var keyID: String?
        if case .encrypted(let id)? = status.protection { keyID = id }
        return .object([
            ("workspace_id", .string(workspace.text)), ("apollo_api_key_configured", .bool(status.isConfigured)),
            ("last_four", JSON(status.lastFour)), ("encrypted_with", JSON(keyID)), ("problem", JSON(status.problem)),
            ("accepted", JSON(test?.success)), ("error_message", JSON(test?.errorMessage)),
        ])
    }
}
