/// One setting: its name, what may stand there, and what it means. All of them are in `Catalog`.
public struct Setting<Value: Sendable & Equatable>: Sendable {
    /// The variable's name, as `WORKER_POLL_INTERVAL_MS`.
    public let name: String
    /// The value where nothing is set.
    public let fallback: Value
    /// How the value is written.
    public let form: Form<Value>
    /// A value to learn from. That of a key or a token can't be used as it stands, so that nobody copies it.
    public let example: String
    /// One or two sentences for the help and the manual.
    public let help: String
    /// Whether a running daemon takes a new value.
    public let reload: ReloadRule
    /// Whether its value must never be shown, nor be given as a flag.
    public let isSecret: Bool

    /// - Parameter example: `nil` where the fallback is as good as any.
    init(
        _ name: String, fallback: Value, example: String? = nil, _ form: Form<Value>, reload: ReloadRule,
        isSecret: Bool = false, help: String
    ) {
        self.name = name
        self.fallback = fallback
        self.example = example ?? form.show(fallback)
        self.form = form
        self.help = help
        self.reload = reload
        self.isSecret = isSecret
    }

    /// A setting that is `nil` where nothing is set.
    /// - Parameter absent: What that means, shown in place of a value.
    init<Wrapped>(
        _ name: String, absent: String, example: String, _ form: Form<Wrapped>, reload: ReloadRule,
        isSecret: Bool = false, help: String
    ) where Value == Wrapped? {
        self.init(
            name, fallback: nil, example: example, form.optional(absent: absent), reload: reload,
            isSecret: isSecret, help: help)
    }

    /// What may stand there, in words that follow "must be".
    public var allowed: String { form.allowed }

    /// Its key in the configuration file, and the name of its systemd credential.
    public var key: String { name.lowercased() }

    /// Reads a value as it would be read from the environment.
    /// - Throws: `BadValue`, which quotes no secret.
    public func parse(_ text: String) throws(BadValue) -> Value { try form.parse(text) }
}

/// Whether a running daemon takes a new value of a setting.
public enum ReloadRule: String, Sendable, Hashable {
    /// Taken over by a reload, for what begins after it.
    case live
    /// Takes effect at the next start.
    case restart
}

/// A setting whatever the type of its value, for lists of all of them.
public struct AnySetting: Sendable {
    /// The variable's name, as `WORKER_POLL_INTERVAL_MS`.
    public let name: String
    /// What may stand there, in words that follow "must be".
    public let allowed: String
    /// One or two sentences for the help and the manual.
    public let help: String
    /// Whether a running daemon takes a new value.
    public let reload: ReloadRule
    /// Whether its value must never be shown, nor be given as a flag.
    public let isSecret: Bool
    /// The value where nothing is set, or what is used then, as people would write it.
    public let fallbackText: String
    /// A value to learn from. That of a key or a token can't be used as it stands, so that nobody copies it.
    public let example: String
    /// Whether several values may be given, with commas between them or as a list in the file.
    public let isList: Bool
    /// Whether set to nothing is a mistake rather than not set.
    let refusesEmpty: Bool
    let fallback: any Sendable
    let parse: @Sendable (String) throws(BadValue) -> any Sendable
    /// Never shows a secret.
    let show: @Sendable (any Sendable) -> String
    let isEqual: @Sendable (any Sendable, any Sendable) -> Bool

    /// Leaves the type of its value behind.
    public init<Value>(_ setting: Setting<Value>) {
        name = setting.name
        allowed = setting.allowed
        help = setting.help
        reload = setting.reload
        isSecret = setting.isSecret
        isList = setting.form.isList
        refusesEmpty = setting.form.refusesEmpty
        fallback = setting.fallback
        fallbackText = setting.form.show(setting.fallback)
        example = setting.example
        parse = { text throws(BadValue) in try setting.parse(text) }
        show = { value in
            guard let value = value as? Value else { return "" }
            return setting.isSecret && value != setting.fallback ? Secret.mask : setting.form.show(value)
        }
        isEqual = { left, right in
            guard let left = left as? Value, let right = right as? Value else { return false }
            return left == right
        }
    }

    /// Its key in the configuration file, and the name of its systemd credential.
    public var key: String { name.lowercased() }
}
