/// SQL with its values apart: an interpolated value can only become a parameter.
///
///     let rows = try await pool.query("SELECT id FROM public.jobs WHERE workspace_id = \(workspace)")
///
/// Start it with a comment that names it, `/* jobworker:claim */`: the name stands in errors and in
/// `pg_stat_statements`.
public struct Statement: Sendable, ExpressibleByStringInterpolation {
    public let sql: String
    let parameters: [Parameter]

    public init(stringLiteral value: String) {
        sql = value
        parameters = []
    }

    public init(stringInterpolation interpolation: StringInterpolation) {
        sql = interpolation.sql
        parameters = interpolation.parameters
    }

    /// The text between the first `/*` and `*/`, or the statement's first words.
    public var name: String { Statement.name(of: sql) }

    package static func name(of sql: String) -> String {
        let text = sql.utf8.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }
        guard text.starts(with: "/*".utf8) else {
            return String(decoding: text.prefix { $0 != UInt8(ascii: "\n") }.prefix(40), as: UTF8.self)
        }
        let inside = text.dropFirst(2).prefix(80).prefix { $0 != UInt8(ascii: "*") }.drop { $0 == UInt8(ascii: " ") }
        var end = inside.endIndex
        while end > inside.startIndex, inside[inside.index(before: end)] == UInt8(ascii: " ") {
            end = inside.index(before: end)
        }
        return String(decoding: inside[..<end], as: UTF8.self)
    }

    public struct StringInterpolation: StringInterpolationProtocol {
        var sql = ""
        var parameters: [Parameter] = []

        public init(literalCapacity: Int, interpolationCount: Int) {
            sql.reserveCapacity(literalCapacity + interpolationCount * 3)
            parameters.reserveCapacity(interpolationCount)
        }

        public mutating func appendLiteral(_ literal: String) {
            sql += literal
        }

        public mutating func appendInterpolation(_ value: some PostgresEncodable) {
            parameters.append(Parameter(value))
            sql += "$\(parameters.count)"
        }

        public mutating func appendInterpolation<Value: PostgresEncodable>(_ value: Value?) {
            parameters.append(value.map { Parameter($0) } ?? Parameter(text: nil, type: Value.postgresType))
            sql += "$\(parameters.count)"
        }

        /// A piece of SQL the program itself wrote; never text from outside.
        public mutating func appendInterpolation(sql fragment: String) {
            sql += fragment
        }

        /// A piece with values of its own; they are numbered on from here.
        public mutating func appendInterpolation(_ fragment: Fragment) {
            for part in fragment.parts {
                switch part {
                case .sql(let text): sql += text
                case .parameter(let parameter):
                    parameters.append(parameter)
                    sql += "$\(parameters.count)"
                }
            }
        }
    }

    struct Parameter: Sendable {
        let text: String?
        let type: UInt32

        init(text: String?, type: UInt32) {
            self.text = text
            self.type = type
        }

        init<Value: PostgresEncodable>(_ value: Value) {
            text = value.postgresText
            type = Value.postgresType
        }
    }
}

/// A part of a statement, with values, that is put together before the whole is.
public struct Fragment: Sendable, ExpressibleByStringInterpolation {
    enum Part: Sendable {
        case sql(String)
        case parameter(Statement.Parameter)
    }

    fileprivate(set) var parts: [Part]

    public init(stringLiteral value: String) {
        parts = [.sql(value)]
    }

    public init(stringInterpolation interpolation: StringInterpolation) {
        parts = interpolation.parts
    }

    public var isEmpty: Bool { parts.isEmpty }

    /// The fragments one after another, `separator` between them.
    public static func joined(_ fragments: [Fragment], separator: String) -> Fragment {
        var whole = Fragment(stringLiteral: "")
        for (index, fragment) in fragments.enumerated() {
            if index > 0 { whole.parts.append(.sql(separator)) }
            whole.parts += fragment.parts
        }
        return whole
    }

    public struct StringInterpolation: StringInterpolationProtocol {
        var parts: [Part] = []

        public init(literalCapacity: Int, interpolationCount: Int) {}

        public mutating func appendLiteral(_ literal: String) {
            parts.append(.sql(literal))
        }

        public mutating func appendInterpolation(_ value: some PostgresEncodable) {
            parts.append(.parameter(Statement.Parameter(value)))
        }

        public mutating func appendInterpolation<Value: PostgresEncodable>(_ value: Value?) {
            parts.append(
                .parameter(
                    value.map { Statement.Parameter($0) } ?? Statement.Parameter(text: nil, type: Value.postgresType)))
        }

        public mutating func appendInterpolation(_ fragment: Fragment) {
            parts += fragment.parts
        }
    }
}
