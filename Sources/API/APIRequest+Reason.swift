import ControlPlane

extension APIRequest {
    /// Why the caller changes something, as it is kept in the audit: `reason` of the body, or of the query where there is
    /// no body.
    var reason: String? {
        get throws(APIError) {
            if let reason = document?["reason"]?.string { return reason }
            return try text("reason")
        }
    }
}

extension Parameter {
    /// For what has no body.
    static let reason = Parameter("reason", .reason, "Why; kept in the audit.")
}

extension Schema {
    static let reason = Schema(.text(0...1000, isOneLine: true), note: "Why; kept in the audit.")
    /// The body of what needs none.
    static let reasonAlone = Schema(.object([.init("reason", Schema.reason.orNull)], isOpen: true))
}

extension Schema.Property {
    static let reason = Schema.Property("reason", Schema.reason.orNull)
}
