package import FoundationEssentials

/// A signed-in user of the application, as a genuine token tells.
package struct Member: Sendable, Hashable {
    package let userID: UUID
    /// All claims of the token, JSON: what the row policies see.
    package let claims: String
    /// Seconds since 1970.
    package let expiresAt: Double

    package init(userID: UUID, claims: String, expiresAt: Double) {
        self.userID = userID
        self.claims = claims
        self.expiresAt = expiresAt
    }
}
