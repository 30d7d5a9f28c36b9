package import Enrichment
package import Settings

extension Configuration {
    /// How long a worker may be silent and still count as alive: it says a word with each poll.
    package var workerSilence: Duration { max(self[Catalog.staleAfter], self[Catalog.pollInterval] * 3) }

    /// The vault of `WORKER_ENCRYPTION_KEYS`.
    /// - Throws: Nothing where the settings were read: they were checked then.
    package func keyVault() throws(KeyVaultError) -> KeyVault {
        guard let keys = self[Catalog.encryptionKeys] else { return KeyVault() }
        return try KeyVault(parsing: keys.text.withText { $0 })
    }

    /// `DATABASE_URL`; empty for libpq's own variables.
    package var databaseURL: String { self[Catalog.databaseURL]?.withText { $0 } ?? "" }
}
