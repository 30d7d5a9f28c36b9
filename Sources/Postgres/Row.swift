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
    @usableFromInline let columns: Columns
    @usableFromInline let values: ResultValues
    @usableFromInline let position: Int

    @usableFromInline
    init(columns: Columns, values: ResultValues, position: Int) {
        self.columns = columns
        self.values = values
        self.position = position
    }

    /// One field.
    /// - Throws: `PostgresError` with `.malformed` when the column is absent, NULL or of another form.
    @inlinable
    public func decode<Value: PostgresDecodable>(
        _ column: String, as type: Value.Type = Value.self
    ) throws(PostgresError) -> Value {
        try decode(self.column(column))
    }

    /// One field, `nil` for SQL NULL.
    /// - Throws: `PostgresError` with `.malformed` when the column is absent or of another form.
    @inlinable
    public func decodeIfPresent<Value: PostgresDecodable>(
        _ column: String, as type: Value.Type = Value.self
    ) throws(PostgresError) -> Value? {
        try decodeIfPresent(self.column(column))
    }

    /// Where a column is, for all rows of the same answer: found once where many are read.
    /// - Throws: `PostgresError` with `.malformed` when there is none of that name.
    @inlinable
    public func column<Value: PostgresDecodable>(
        _ name: String, as type: Value.Type = Value.self
    ) throws(PostgresError) -> Column<Value> {
        guard let index = columns.index[name] else { throw columns.error("the answer has no column \(name)") }
        return Column(index: index)
    }

    /// One field.
    /// - Parameter column: Of a row of the same answer.
    /// - Throws: `PostgresError` with `.malformed` when it is NULL or of another form.
    @inlinable
    public func decode<Value>(_ column: Column<Value>) throws(PostgresError) -> Value {
        guard let value = try decodeIfPresent(column) else {
            throw columns.error("column \(columns.names[column.index]) is NULL, a value was expected")
        }
        return value
    }

    /// One field, `nil` for SQL NULL.
    /// - Parameter column: Of a row of the same answer.
    /// - Throws: `PostgresError` with `.malformed` when it is of another form.
    @inlinable
    public func decodeIfPresent<Value>(_ column: Column<Value>) throws(PostgresError) -> Value? {
        precondition(column.index < columns.names.count, "the column is of another answer")
        return try withExtendedLifetime(values) { () throws(PostgresError) -> Value? in
            guard let bytes = values.bytes(row: position, column: column.index) else { return nil }
            guard let value = Value(postgresBytes: bytes) else {
                throw columns.error("column \(columns.names[column.index]) can't be read as \(Value.self)")
            }
            return value
        }
    }

    /// All fields as the server's text, in the order of the columns.
    public var texts: [(column: String, text: String?)] {
        columns.names.enumerated().map { index, name in
            (name, values.bytes(row: position, column: index).map { String(decoding: $0, as: UTF8.self) })
        }
    }
}

/// Where the fields of a column are in the rows of an answer, and what they are read as.
public struct Column<Value: PostgresDecodable>: Sendable {
    @usableFromInline let index: Int

    @usableFromInline
    init(index: Int) { self.index = index }
}

/// The names of a result's columns, shared by its rows.
@usableFromInline
final class Columns: Sendable {
    @usableFromInline let names: [String]
    @usableFromInline let index: [String: Int]
    private let operation: String

    init(names: [String], operation: String) {
        self.names = names
        self.operation = operation
        index = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    }

    @usableFromInline
    func error(_ message: String) -> PostgresError {
        PostgresError(.malformed, operation: operation, message: message)
    }
}
