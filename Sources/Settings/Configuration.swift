/// The settings of a process, all read and checked.
public struct Configuration: Sendable {
    private let values: [String: any Sendable]
    private let origins: [String: Origin]
    /// What was given, as it was written, of settings that are no secret.
    private let texts: [String: String]
    /// What should be looked at, but stops nothing. No value is quoted.
    public let warnings: [String]

    /// Reads every source, and checks every setting.
    /// - Throws: All mistakes at once.
    public static func load(_ sources: Sources) throws(SettingsReport) -> Configuration {
        var reader = SettingsReader(sources)
        for setting in Catalog.all { reader.read(setting) }
        reader.checkTogether()
        reader.findUnknownVariables()
        guard reader.mistakes.isEmpty else { throw SettingsReport(mistakes: reader.mistakes) }
        return Configuration(
            values: reader.values, origins: reader.origins, texts: reader.texts, warnings: reader.warnings)
    }

    /// The setting's value, or its fallback.
    public subscript<Value>(_ setting: Setting<Value>) -> Value {
        (values[setting.name] as? Value) ?? setting.fallback
    }

    /// Where the setting's value came from.
    public func origin<Value>(of setting: Setting<Value>) -> Origin { origins[setting.name] ?? .default }

    /// The connection for LISTEN; `nil` for libpq's own variables.
    public var listenConnection: Secret? { self[Catalog.listenURL] ?? self[Catalog.databaseURL] }

    /// The connection for migrations; `nil` for libpq's own variables.
    public var migrateConnection: Secret? { self[Catalog.migrateDatabaseURL] ?? self[Catalog.databaseURL] }

    // MARK: Showing

    /// One setting, as `jobworker config` shows it.
    public struct Entry: Sendable, Equatable {
        public let name: String
        /// As it was written, or what holds without it; `•••` for a secret that is set.
        public let value: String
        public let origin: Origin
        public let reload: ReloadRule
        public let isSecret: Bool
        public let allowed: String
        public let help: String
    }

    /// Every setting, in the catalogue's order.
    public func describe() -> [Entry] {
        Catalog.all.map { setting in
            Entry(
                name: setting.name,
                value: texts[setting.name] ?? setting.show(values[setting.name] ?? setting.fallback),
                origin: origins[setting.name] ?? .default,
                reload: setting.reload, isSecret: setting.isSecret, allowed: setting.allowed, help: setting.help)
        }
    }

    // MARK: Reloading

    /// A setting whose value is another one now.
    public struct Change: Sendable, Equatable {
        public let name: String
        /// Whether the new value holds at once or after a restart.
        public let reload: ReloadRule
    }

    /// What differs between this configuration and one read later, in the catalogue's order. The same value written
    /// in another way, or in another place, is no change.
    public func changes(to other: Configuration) -> [Change] {
        Catalog.all.compactMap { setting in
            let before = values[setting.name] ?? setting.fallback
            let after = other.values[setting.name] ?? setting.fallback
            return setting.isEqual(before, after) ? nil : Change(name: setting.name, reload: setting.reload)
        }
    }
}

extension Configuration: CustomStringConvertible, CustomReflectable {
    /// The names of what is set, without any value.
    public var description: String {
        let names = Catalog.all.map(\.name).filter { origins[$0, default: .default] != .default }
        return "Configuration(\(names.joined(separator: ", ")))"
    }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
