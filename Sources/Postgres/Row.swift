/// What a statement answered.
public struct Rows: Sendable, RandomAccessCollection {
    let columns: Columns
    private let values: ResultValues
    public let startIndex = 0
    public let endIndex: Int
    /// Rows inserted, changed, deleted or read, as the server counted them.
    public let affected: Int

    init(columns: Columns, values: ResultValues, count: Int, affected: Int) {
        self.columns = columns
        self.values = values
        self.endIndex = count
        self.affected = affected
    }

    public subscript(position: Int) -> Row {
        precondition(indices.contains(position), "row \(position) of \(count)")
        return Row(columns: columns, values: values, position: position)
    }
}

/// One row; its fields by column name.
public struct Row: Sendable {
    let columns: Columns
    let values: ResultValues
    let position: Int

    /// One field.
    /// - Throws: `PostgresError` with `.malformed` when the column is absent, NULL or of another form.
    public func decode<Value: PostgresDecodable>(
        _ column: String, as type: Value.Type = Value.self
    ) throws(PostgresError) -> Value {
        guard let value = try decodeIfPresent(column, as: type) else {
            throw columns.error("column \(column) is NULL, a value was expected")
        }
        return value
    }

    /// One field, `nil` for SQL NULL.
    /// - Throws: `PostgresError` with `.malformed` when the column is absent or of another form.
    public func decodeIfPresent<Value: PostgresDecodable>(
        _ column: String, as type: Value.Type = Value.self
    ) throws(PostgresError) -> Value? {
        guard let index = columns.index[column] else {
            throw columns.error("the answer has no column \(column)")
        }
        switch values.withBytes(row: position, column: index, { Value(postgresBytes: $0) }) {
        case nil: return nil
        case .some(let value?): return value
        case .some(nil): throw columns.error("column \(column) can't be read as \(Value.self)")
        }
    }

    /// All fields as the server's text, in the order of the columns.
    public var texts: [(column: String, text: String?)] {
        columns.names.enumerated().map { index, name in
            (name, values.withBytes(row: position, column: index) { String(decoding: $0, as: UTF8.self) })
        }
    }
}

/// The names of a result's columns, shared by its rows.
final class Columns: Sendable {
    let names: [String]
    let index: [String: Int]
    private let operation: String

    init(names: [String], operation: String) {
        self.names = names
        self.operation = operation
        index = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    }

    func error(_ message: String) -> PostgresError {
        PostgresError(.malformed, operation: operation, message: message)
    }
}
