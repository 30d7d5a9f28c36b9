import FoundationEssentials
import Settings
import Tokens

extension Configuration {
    /// What tells the application's members from others; `nil` where no key for it is set.
    /// - Throws: `MemberKeysProblem`.
    func memberVerifier() throws(MemberKeysProblem) -> TokenVerifier? {
        var keys: [VerificationKey] = []
        if let secret = self[Catalog.supabaseJWTSecret] {
            keys.append(secret.withBytes { VerificationKey(secret: $0) })
        }
        if let path = self[Catalog.supabaseJWKSFile] {
            let text: String
            do {
                let data = try Data(contentsOf: URL(filePath: path))
                guard data.count <= 1 << 20, let decoded = String(validating: data, as: UTF8.self) else {
                    throw MemberKeysProblem(path: path, reason: "it is no text of at most 1 MiB")
                }
                text = decoded
            } catch let problem as MemberKeysProblem {
                throw problem
            } catch {
                throw MemberKeysProblem(path: path, reason: "it can't be read")
            }
            do throws(KeySetError) {
                keys += try KeySet(parsing: text).keys
            } catch {
                throw MemberKeysProblem(path: path, reason: "\(error)")
            }
        }
        return keys.isEmpty ? nil : TokenVerifier(keys: keys)
    }
}

/// Why the file with the members' keys can't be used.
struct MemberKeysProblem: Error, CustomStringConvertible {
    let path: String
    let reason: String

    var description: String { "SUPABASE_JWKS_FILE, \(path): \(reason)" }
}
