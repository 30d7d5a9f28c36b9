import CLibPQ

extension ConnectionSettings {
    /// The connection string as `key='value'` pairs, naming another database on the same server.
    ///
    /// For programs that are given a string and no more, such as `psql`.
    /// - Parameter role: The role that the sessions act as, a plain name; `nil` for the login itself.
    /// - Throws: `PostgresError` with `.malformed` where the string can't be read.
    public func connectionString(
        forDatabase name: String, role: String? = nil
    ) throws(PostgresError) -> String {
        var problem: UnsafeMutablePointer<CChar>?
        defer { PQfreemem(problem) }
        guard let options = PQconninfoParse(connectionString, &problem) else {
            // libpq's text may quote the string: it stays here.
            throw PostgresError(
                .malformed, operation: "connection string", message: "the connection string can't be read")
        }
        defer { PQconninfoFree(options) }
        var pairs = ["dbname": name]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val, String(cString: keyword) != "dbname" {
                pairs[String(cString: keyword)] = String(cString: value)
            }
            option = option.successor()
        }
        if let role { pairs["options"] = (pairs["options"].map { $0 + " " } ?? "") + "-c role=\(role)" }
        return pairs.sorted { $0.key < $1.key }.map { "\($0.key)=\(ConnectionSettings.quoted($0.value))" }
            .joined(separator: " ")
    }

    /// https://www.postgresql.org/docs/15/libpq-connect.html#id-1.7.3.8.3.5
    private static func quoted(_ value: String) -> String {
        "'" + value.replacing("\\", with: "\\\\").replacing("'", with: "\\'") + "'"
    }
}
