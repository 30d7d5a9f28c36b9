package import FoundationEssentials
package import Postgres

/// The database as others see it.
extension TestDatabase {
    /// Runs statements in a transaction as a signed-in user: as the API does, the worker's login takes the role.
    package func asUser<Value: Sendable>(
        _ user: UUID?, _ body: @escaping @Sendable (isolated Connection) throws -> Value
    ) async throws -> Value {
        try await asRole("authenticated", user: user, body)
    }

    /// Runs statements in a transaction as one of the roles `anon`, `authenticated` or `service_role`.
    package func asRole<Value: Sendable>(
        _ role: String, user: UUID? = nil, _ body: @escaping @Sendable (isolated Connection) throws -> Value
    ) async throws -> Value {
        // Only the superuser may become the others.
        try await (role == "authenticated" ? workerPool : pool).transaction { connection in
            if let user {
                let claims = "{\"sub\":\"\(user.text)\",\"role\":\"\(role)\"}"
                try connection.execute("SELECT set_config('request.jwt.claims', \(claims), true)")
            }
            try connection.execute(Statement(stringLiteral: "SET LOCAL ROLE \(role)"))
            return try body(connection)
        }
    }

    /// The SQLSTATE with which the server refuses what `body` does; `nil` if it doesn't.
    package static func refusal(_ body: () async throws -> some Any) async throws -> String? {
        do {
            _ = try await body()
            return nil
        } catch let error as PostgresError {
            guard let state = error.sqlState else { throw error }
            return state
        }
    }
}
