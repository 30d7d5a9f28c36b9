import Crypto
import FoundationEssentials
import Settings

/// With what requests to an endpoint are signed: https://www.standardwebhooks.com
package struct SigningSecret: Sendable {
    package struct Problem: Error, Sendable {
        package let sentence: String
    }

    private let key: SymmetricKey

    /// - Parameters:
    ///   - file: A path, or the name of a systemd credential.
    ///   - credentials: The folder of systemd's credentials.
    package init(file: String, credentials: String?) throws(Problem) {
        let path: String
        if file.contains("/") {
            path = file
        } else if let credentials {
            path = "\(credentials)/\(file)"
        } else {
            throw Problem(
                sentence: "secret_file '\(file)' is the name of a systemd credential, and this process was given none; "
                    + "give a path outside of systemd")
        }
        let text: String
        do throws(FileText.Problem) { text = try FileText(path: path).text } catch {
            switch error {
            case .missing: throw Problem(sentence: "secret_file: there is no file \(path)")
            case .unusable(let why): throw Problem(sentence: "secret_file: \(path) \(why)")
            }
        }
        try self.init(text.split(whereSeparator: \.isWhitespace).first.map(String.init) ?? "", source: path)
    }

    /// - Parameter text: `whsec_` and 24 to 64 bytes in base64.
    package init(_ text: String, source: String) throws(Problem) {
        guard text.hasPrefix("whsec_"), let bytes = Data(base64Encoded: String(text.dropFirst(6))),
            (24...64).contains(bytes.count)
        else {
            throw Problem(
                sentence: "secret_file: \(source) must hold whsec_ and 24 to 64 bytes in base64; "
                    + "'echo whsec_$(head -c 32 /dev/urandom | base64)' makes one")
        }
        key = SymmetricKey(data: bytes)
    }

    /// The headers that sign a body.
    /// - Parameter seconds: Since 1970.
    package func headers(id: String, seconds: Int, body: [UInt8]) -> [(name: String, value: String)] {
        var code = HMAC<SHA256>(key: key)
        code.update(data: Array("\(id).\(seconds).".utf8))
        code.update(data: body)
        return [
            ("webhook-id", id), ("webhook-timestamp", String(seconds)),
            ("webhook-signature", "v1,\(Data(code.finalize()).base64EncodedString())"),
        ]
    }
}
