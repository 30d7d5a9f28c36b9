import Enrichment
import Postgres

enum EnrichmentCheck {
    static func finding(_ missing: ColumnCheck.Missing) -> Finding {
        guard let sentence = ColumnCheck.sentence(missing) else {
            return .ok("enrichment", "the tables have every column it needs")
        }
        return .warn("enrichment", sentence)
    }

    /// - Parameter current: The id of the key that encrypts; `nil` without any.
    static func findings(_ survey: KeyRotation.Survey, current: String?) -> [Finding] {
        var findings: [Finding] = []
        if !survey.unreadable.isEmpty {
            findings.append(
                .fail(
                    "keys",
                    "the Apollo keys of \(counted(survey.unreadable.count, "workspace")) can't be decrypted: "
                        + listed(survey.unreadable.map { $0.text }, max: 2),
                    advice:
                        "Add the encryption key that is missing to WORKER_ENCRYPTION_KEYS, or enter the Apollo keys anew."
                ))
        }
        if !survey.unreadableWebhooks.isEmpty {
            findings.append(
                .fail(
                    "keys",
                    "the secrets of \(counted(survey.unreadableWebhooks.count, "webhook")) can't be decrypted: "
                        + listed(survey.unreadableWebhooks.map { $0.text }, max: 2),
                    advice:
                        "Add the encryption key that is missing to WORKER_ENCRYPTION_KEYS, or remove and add them anew."
                ))
        }
        guard let current else {
            findings.append(
                .warn(
                    "keys", "WORKER_ENCRYPTION_KEYS is not set: Apollo keys can't be stored",
                    advice: "'jobworker keys generate' makes one."))
            return findings
        }
        if survey.unprotected > 0 {
            findings.append(
                .warn(
                    "keys",
                    "\(counted(survey.unprotected, "Apollo key")) of earlier days can be read by whoever reads the row",
                    advice: "'jobworker keys rotate' encrypts them."))
        }
        let older = survey.encrypted.filter { $0.key != current }
        if !older.isEmpty {
            let count = older.values.reduce(0, +)
            findings.append(
                .warn(
                    "keys", "\(counted(count, "Apollo key")) still encrypted with \(listed(older.keys.sorted()))",
                    advice: "'jobworker keys rotate' encrypts them with '\(current)'; then the older keys may go."))
        }
        let olderSecrets = survey.encryptedSecrets.filter { $0.key != current }
        if !olderSecrets.isEmpty {
            let count = olderSecrets.values.reduce(0, +)
            findings.append(
                .warn(
                    "keys",
                    "\(counted(count, "webhook secret")) still encrypted with \(listed(olderSecrets.keys.sorted()))",
                    advice: "'jobworker keys rotate' encrypts them with '\(current)'; then the older keys may go."))
        }
        let count = survey.encrypted[current] ?? 0
        return findings.isEmpty
            ? [.ok("keys", "\(counted(count, "Apollo key")) stored, all encrypted with '\(current)'")] : findings
    }
}
