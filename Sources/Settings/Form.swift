/// How values of one kind are written, read and shown.
public struct Form<Value: Sendable & Equatable>: Sendable {
    /// What may stand there, in words that follow "must be".
    public let allowed: String
    /// Whether it is a list with commas between its entries.
    let isList: Bool
    /// Whether set to nothing is a mistake rather than not set.
    let refusesEmpty: Bool
    let parse: @Sendable (String) throws(BadValue) -> Value
    /// As people would write it. May show a secret: `AnySetting` asks only where there is none.
    let show: @Sendable (Value) -> String

    init(
        _ allowed: String, isList: Bool = false, refusesEmpty: Bool = false,
        show: @escaping @Sendable (Value) -> String = { "\($0)" },
        parse: @escaping @Sendable (String) throws(BadValue) -> Value
    ) {
        self.allowed = allowed
        self.isList = isList
        self.refusesEmpty = refusesEmpty
        self.parse = parse
        self.show = show
    }

    /// The same, for a setting that may be left unset.
    /// - Parameter absent: What its absence means, shown in place of a value.
    func optional(absent: String) -> Form<Value?> {
        Form<Value?>(
            allowed, isList: isList, refusesEmpty: refusesEmpty, show: { [show] in $0.map(show) ?? absent },
            parse: { [parse] text throws(BadValue) in try parse(text) })
    }
}

/// Why some text is no value of a setting.
public struct BadValue: Error, Sendable, Equatable {
    /// What is wrong beyond "not what is allowed". Quotes nothing of a secret.
    public let reason: String?

    init(_ reason: String? = nil) { self.reason = reason }
}
