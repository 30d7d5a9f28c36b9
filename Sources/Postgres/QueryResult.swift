import CLibPQ

/// The answer to one statement. Frees libpq's memory when it goes out of scope.
struct QueryResult: ~Copyable {
    private let handle: OpaquePointer

    /// Takes ownership: nobody else may call `PQclear` on `handle`.
    init(adopting handle: OpaquePointer) { self.handle = handle }

    deinit { PQclear(handle) }

    var status: ExecStatusType { PQresultStatus(handle) }

    /// The server's error, if this is one.
    func error(operation: String) -> PostgresError? {
        guard status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE else { return nil }
        let message = field("M") ?? String(cString: PQresultErrorMessage(handle)).trimmed
        guard let state = field("C") else {
            return PostgresError(.connectionLost, operation: operation, message: message)
        }
        // A fatal one ends the session, and can strike between the effect of a statement and its answer.
        let isFatal = ["FATAL", "PANIC"].contains(field("V"))
        return PostgresError(
            isFatal ? .connectionLost : .rejected(sqlState: state), operation: operation, message: message,
            detail: field("D"), hint: field("H"), constraint: field("n"))
    }

    /// Everything in it, copied.
    func rows(operation: String) -> Rows {
        let width = PQnfields(handle)
        let count = PQntuples(handle)
        let names = (0..<width).map { String(cString: PQfname(handle, $0)) }
        var values: [String?] = []
        values.reserveCapacity(Int(width) * Int(count))
        for row in 0..<count {
            for column in 0..<width { values.append(text(row: row, column: column)) }
        }
        return Rows(
            columns: Columns(names: names, operation: operation), values: values, count: Int(count),
            affected: Int(String(cString: PQcmdTuples(handle))) ?? 0)
    }

    /// One field's text, or `nil` for SQL `NULL`. A copy, so it may outlive the result.
    private func text(row: Int32, column: Int32) -> String? {
        // libpq answers "" for NULL too, so ask first.
        guard PQgetisnull(handle, row, column) == 0 else { return nil }
        return String(cString: PQgetvalue(handle, row, column))
    }

    /// A part of the error report, by its letter in
    /// https://www.postgresql.org/docs/15/protocol-error-fields.html
    private func field(_ code: Unicode.Scalar) -> String? {
        PQresultErrorField(handle, Int32(code.value)).map { String(cString: $0) }
    }
}

extension String {
    /// Without the line ends libpq puts behind its messages.
    var trimmed: String {
        var text = self
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text
    }
}
