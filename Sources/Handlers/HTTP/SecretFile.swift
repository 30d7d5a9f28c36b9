import Settings
package import Webhooks

/// The file that holds an endpoint's secret.
package struct SecretFile: Sendable {
    package struct Problem: Error, Sendable {
        package let sentence: String
    }

    /// A path, or the name of a systemd credential.
    private let name: String
    private let credentials: String?

    /// - Parameters:
    ///   - name: A path, or the name of a systemd credential.
    ///   - credentials: The folder of systemd's credentials.
    package init(_ name: String, credentials: String?) {
        self.name = name
        self.credentials = credentials
    }

    package func read() throws(Problem) -> WebhookSecret {
        let path: String
        if name.contains("/") {
            path = name
        } else if let credentials {
            path = "\(credentials)/\(name)"
        } else {
            throw Problem(
                sentence: "secret_file '\(name)' is the name of a systemd credential, and this process was given none; "
                    + "give a path outside of systemd")
        }
        let text: String
        do throws(FileText.Problem) { text = try FileText(path: path).text } catch {
            switch error {
            case .missing: throw Problem(sentence: "secret_file: there is no file \(path)")
            case .unusable(let why): throw Problem(sentence: "secret_file: \(path) \(why)")
            }
        }
        guard let secret = WebhookSecret(text.split(whereSeparator: \.isWhitespace).first.map(String.init) ?? "") else {
            throw Problem(
                sentence: "secret_file: \(path) must hold whsec_ and 24 to 64 bytes in base64; "
                    + "'echo whsec_$(head -c 32 /dev/urandom | base64)' makes one")
        }
        return secret
    }
}
