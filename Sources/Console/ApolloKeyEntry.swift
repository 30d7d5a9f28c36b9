import Doctor
package import Enrichment
package import FoundationEssentials
import JobWorker
import Postgres

/// Stores a workspace's Apollo key for an operator.
package struct ApolloKeyEntry: Sendable {
    private let session: Session
    private let keys: ApolloKey

    /// - Throws: `KeyVaultError.noKeys` where nothing can be encrypted: before a person has typed the key.
    package init(_ session: Session) throws(KeyVaultError) {
        guard try session.configuration.keyVault().currentKeyID != nil else { throw .noKeys }
        self.session = session
        keys = try session.apolloKeys()
    }

    /// - Parameter text: The key, as typed or read from a file.
    /// - Throws: `Complaint`, `PostgresError`.
    package func set(_ text: String, workspace: UUID) async throws {
        guard let key = APIKey(text) else {
            throw Complaint(
                .usage, "what was given is no API key: 1 to 512 printable ASCII characters without blanks are expected")
        }
        do {
            try await keys.set(workspace: workspace, key: key, by: session.requester)
        } catch let error as PostgresError {
            guard error.sqlState == "23503" else { throw error }
            throw Complaint(.notFound, "there is no workspace \(workspace.text)")
        }
    }
}
