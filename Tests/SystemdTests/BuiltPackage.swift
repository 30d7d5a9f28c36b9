import Development
import Support
import Synchronization

/// The Debian package of the program that lies beside the tests.
enum BuiltPackage {
    /// What the tests install first, and what comes after it.
    static let version = "0.1.0-1"
    static let laterVersion = "0.1.0-2"

    private static let builds = Mutex<[String: Task<String, any Error>]>([:])

    /// Its path; built when it is asked for first.
    static func path(_ version: String = version) async throws -> String {
        try await builds.withLock { builds in
            let task = builds[version] ?? Task { try await build(version) }
            builds[version] = task
            return task
        }.value
    }

    private static func build(_ version: String) async throws -> String {
        let (status, output) = await runProgram([
            Sandbox.project + "/packaging/build-deb", "--binary", BuiltProgram.path("jobworker"), "--version", version,
            "--compression", "gzip", "--output", BuiltProgram.path("packages"),
        ])
        guard status == 0, let path = output.split(separator: "\n").last else {
            throw DevelopmentError("building the package:\n\(output)")
        }
        return String(path)
    }

    /// Shared libraries of the toolchain that a debug build needs and the hardened unit can't reach.
    static func hiddenLibraries() async throws -> [String] {
        let (status, output) = await runProgram(["ldd", BuiltProgram.path("jobworker")])
        guard status == 0 else { throw DevelopmentError("ldd:\n\(output)") }
        return output.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard let arrow = words.firstIndex(of: "=>"), arrow + 1 < words.count else { return nil }
            let path = words[arrow + 1]
            // What ProtectHome= and PrivateTmp= hide.
            return ["root", "home", "run", "tmp"].contains(path.split(separator: "/").first) ? String(path) : nil
        }
    }
}
