import FoundationEssentials
import Subprocess

#if canImport(Glibc)
    import Glibc
#endif

/// Where PostgreSQL's server programs are installed.
package struct PostgresBinaries: Sendable {
    package let directory: String

    package func path(of program: String) -> String { directory + "/" + program }

    /// Looks in PATH, where `pg_config` points, and in Debian's folders, the newest version first.
    package static func find() async throws(DevelopmentError) -> PostgresBinaries {
        var candidates = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        if let configured = await configuredDirectory() { candidates.append(configured) }
        candidates += debianDirectories()
        // Some machines link a few of the programs to a place in PATH: a folder with all of them is better.
        for programs in [["initdb", "postgres", "psql", "pg_basebackup"], ["initdb", "postgres"]] {
            for directory in candidates
            where programs.allSatisfy({ access(directory + "/" + $0, X_OK) == 0 }) {
                return PostgresBinaries(directory: directory)
            }
        }
        throw DevelopmentError(
            "PostgreSQL's server programs (initdb, postgres) were not found in PATH or /usr/lib/postgresql. "
                + "Install them: apt install postgresql")
    }

    /// Debian keeps them out of PATH, a folder for each major version.
    private static func debianDirectories() -> [String] {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return versions.compactMap { Double($0) }.sorted(by: >).map { version in
            "\(root)/\(version == version.rounded() ? String(Int(version)) : String(version))/bin"
        }
    }

    private static func configuredDirectory() async -> String? {
        let result = try? await Subprocess.run(
            .name("pg_config"), arguments: ["--bindir"], output: .string(limit: 4096), error: .discarded)
        guard let result, result.terminationStatus.isSuccess else { return nil }
        return result.standardOutput.split(separator: "\n").first.map(String.init)
    }
}

/// Why something for trying jobworker out can't be had, with what to do about it.
package struct DevelopmentError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
