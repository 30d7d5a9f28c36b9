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

    /// Everything in it; libpq's memory lives as long as a row of it.
    consuming func rows(operation: String) -> Rows {
        let width = PQnfields(handle)
        let count = Int(PQntuples(handle))
        let names = (0..<width).map { String(cString: PQfname(handle, $0)) }
        let affected = Int(String(cString: PQcmdTuples(handle))) ?? 0
        return Rows(
            columns: Columns(names: names, operation: operation), values: ResultValues(adopting: release()),
            count: count, affected: affected)
    }

    /// Gives the ownership away.
    private consuming func release() -> OpaquePointer {
        let handle = handle
        discard self
        return handle
    }

    /// A part of the error report, by its letter in
    /// https://www.postgresql.org/docs/15/protocol-error-fields.html
    private func field(_ code: Unicode.Scalar) -> String? {
        PQresultErrorField(handle, Int32(code.value)).map { String(cString: $0) }
    }
}

/// The values of a result, where libpq has put them.
///
/// Sendable, as nobody changes a result once it has come: "PGresult objects are normally read-only after creation, and
/// so can be passed around freely between threads", https://www.postgresql.org/docs/15/libpq-threading.html
@usableFromInline
final class ResultValues: @unchecked Sendable {
    private let handle: OpaquePointer

    /// Takes ownership.
    init(adopting handle: OpaquePointer) { self.handle = handle }

    deinit { PQclear(handle) }

    /// One field's bytes, valid as long as this object; `nil` for SQL NULL.
    @usableFromInline
    func bytes(row: Int, column: Int) -> UnsafeRawBufferPointer? {
        let (row, column) = (Int32(truncatingIfNeeded: row), Int32(truncatingIfNeeded: column))
        // libpq answers "" for NULL too, so ask first.
        guard PQgetisnull(handle, row, column) == 0 else { return nil }
        return UnsafeRawBufferPointer(
            start: PQgetvalue(handle, row, column), count: Int(PQgetlength(handle, row, column)))
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
