import Enrichment
import Glibc

/// New encryption keys and their names.
package enum KeyNames {
    /// - Parameter id: `nil` for one made of the date, `k20260302`.
    /// - Returns: `id:base64`, for `WORKER_ENCRYPTION_KEYS`.
    /// - Throws: `Complaint` where the id can't be one.
    package static func generate(id: String?) throws(Complaint) -> String {
        let key = KeyVault.generateKey(id: id ?? today())
        do throws(KeyVaultError) {
            _ = try KeyVault(parsing: key)
        } catch {
            throw Complaint(.usage, "the name of a key is 1 to 32 letters, digits, '.', '_' or '-'")
        }
        return key
    }

    private static func today() -> String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        let year = Int(parts.tm_year) + 1900
        let month = Int(parts.tm_mon) + 1
        return "k\(year * 10_000 + month * 100 + Int(parts.tm_mday))"
    }
}
