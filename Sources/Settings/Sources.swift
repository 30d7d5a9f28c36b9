import FoundationEssentials

/// Where settings may be set. The first that names one decides: flag, environment, credential, file, default.
public struct Sources: Sendable {
    /// Where the configuration file is, unless one is named.
    public static let filePathDefault = "/etc/jobworker/config.yaml"

    /// What the command line says, by the setting's name.
    public var flags: [String: String]
    /// Empty counts as not set, but for `WORKER_SECRET_TOKEN`, where it is a mistake.
    public var environment: [String: String]
    /// Where systemd put credentials, each in a file named like the setting in lower case.
    public var credentialsDirectory: String?
    /// The configuration file.
    public var filePath: String
    /// Whether a person named the file: then it has to be there.
    public var isFileNamed: Bool

    /// - Parameters:
    ///   - flags: By the setting's name. Names must be in the catalogue and of no secret.
    ///   - credentialsDirectory: `nil` takes it from `CREDENTIALS_DIRECTORY` of `environment`.
    ///   - file: `nil` for `filePathDefault`, which may be missing.
    public init(
        flags: [String: String] = [:], environment: [String: String], credentialsDirectory: String? = nil,
        file: String? = nil
    ) {
        for name in flags.keys {
            let setting = Catalog.setting(named: name)
            precondition(setting?.name == name, "a flag for a setting that isn't there: \(name)")
            precondition(setting?.isSecret == false, "a flag for a secret: \(name)")
        }
        let directory = credentialsDirectory ?? environment["CREDENTIALS_DIRECTORY"]
        self.flags = flags
        self.environment = environment
        self.credentialsDirectory = directory == "" ? nil : directory
        filePath = file ?? Sources.filePathDefault
        isFileNamed = file != nil
    }

    /// The sources of this process.
    /// - Parameter file: What `--config` names, if it was given.
    public static func ofProcess(flags: [String: String] = [:], file: String? = nil) -> Sources {
        Sources(flags: flags, environment: ProcessInfo.processInfo.environment, file: file)
    }
}

/// Where a value came from.
public enum Origin: Sendable, Hashable {
    case flag
    case environment
    case credential(path: String)
    /// Lines count from 1.
    case file(path: String, line: Int)
    case `default`
}

extension Origin: CustomStringConvertible {
    public var description: String {
        switch self {
        case .flag: "flag"
        case .environment: "environment"
        case .credential(let path): "credential \(path)"
        case .file(let path, let line): "\(path):\(line)"
        case .default: "default"
        }
    }
}
