import Glibc
import Testing

@testable import Settings

/// A folder of its own with a configuration file and credentials, removed when the test ends.
final class SettingsFolder {
    let path: String
    private var names: Set<String> = []

    init() throws {
        var template = Array("/tmp/jobworker-settings-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.map { mkdtemp($0) != nil } }
        try #require(made == true)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in names { remove("\(path)/\(name)") }
        rmdir(path)
    }

    /// Writes a file and gives its path.
    @discardableResult
    func write(_ text: String, to name: String, mode: mode_t = 0o600) throws -> String {
        try write(Array(text.utf8), to: name, mode: mode)
    }

    @discardableResult
    func write(_ bytes: [UInt8], to name: String, mode: mode_t = 0o600) throws -> String {
        let file = "\(path)/\(name)"
        names.insert(name)
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        fchmod(descriptor, mode)
        try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        return file
    }

    func makeFolder(_ name: String) throws {
        names.insert(name)
        try #require(mkdir("\(path)/\(name)", 0o700) == 0)
    }

    /// Settings read from a file of this text alone.
    func load(file text: String) throws -> Configuration {
        try Configuration.load(Sources(environment: [:], file: write(text, to: "config.yaml")))
    }
}

/// Settings read from these variables alone.
func loadSettings(_ environment: [String: String]) throws(SettingsReport) -> Configuration {
    try Configuration.load(.alone(environment: environment))
}

/// What is wrong with settings that can't be read.
func mistakes(_ sources: Sources, at location: SourceLocation = #_sourceLocation) -> [SettingsReport.Mistake] {
    do throws(SettingsReport) {
        _ = try Configuration.load(sources)
        Issue.record("no mistake was found", sourceLocation: location)
        return []
    } catch {
        return error.mistakes
    }
}

func mistakes(
    _ environment: [String: String], at location: SourceLocation = #_sourceLocation
) -> [SettingsReport.Mistake] {
    mistakes(.alone(environment: environment), at: location)
}

extension Sources {
    /// Without the configuration file of the machine that runs the tests.
    static func alone(
        flags: [String: String] = [:], environment: [String: String] = [:], credentials: String? = nil
    ) -> Sources {
        var sources = Sources(flags: flags, environment: environment, credentialsDirectory: credentials)
        sources.filePath = "/nonexistent/config.yaml"
        return sources
    }
}
