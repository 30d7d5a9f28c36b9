import Glibc
import JobWorker

/// What a file can't be wrong about, but the machine: whether program, user and secret are there.
package enum HandlerDoubts {
    /// Sentences; none where all is well, as far as this user can see.
    /// - Parameter credentials: The folder of systemd's credentials.
    package static func of(_ handler: HandlerDefinition, credentials: String?) -> [String] {
        switch handler.kind {
        case .exec(let settings):
            var doubts: [String] = []
            do {
                let program = try ProgramPath.find(
                    settings.command[0], in: settings.environment["PATH"] ?? ExecProcessor.path, settings.directory)
                if access(program, X_OK) != 0 {
                    doubts.append("\(program) can't be run: \(String(cString: strerror(errno)))")
                }
                if let name = settings.user { _ = try UserLookup.user(named: name) }
            } catch {
                doubts.append("\(error)")
            }
            if access(settings.directory, X_OK) != 0 {
                doubts.append(
                    "the directory \(settings.directory) can't be entered: \(String(cString: strerror(errno)))")
            }
            return doubts
        case .http(let settings):
            // The name of a credential is known to the service alone.
            guard settings.secretFile.contains("/") || credentials != nil else { return [] }
            do throws(SecretFile.Problem) {
                _ = try SecretFile(settings.secretFile, credentials: credentials).read()
                return []
            } catch {
                return [error.sentence]
            }
        }
    }
}
