import ControlPlane
import HTTPTypes
import Postgres

extension APIError {
    /// What a caller is to know of a database's error; `nil` for what nobody foresaw. Never the server's own words, as
    /// they may quote what isn't the caller's, but for those of our own functions.
    init?(_ error: PostgresError) {
        switch error.reason {
        case .unreachable, .connectionLost: self = .databaseUnavailable
        case .cancelled: self = .databaseUnavailable
        case .malformed: return nil
        case .rejected(let state):
            switch state {
            case "P0002": self = .missing
            case "JW409": self = APIError(.conflict, code: "conflict", error.message.asSentence)
            case "JW422":
                self = APIError(.unprocessableContent, code: "invalid_workflow", error.message.asSentence)
            case "42501":
                self = APIError(.forbidden, code: "forbidden", "This is not yours to see or to change.")
            case "23505": self = APIError(.conflict, code: "conflict", "There is one already.")
            case "23503":
                self = APIError(
                    .unprocessableContent, code: "unknown_reference",
                    "Something that the request refers to does not exist: its workspace, user or job.")
            case "57014":
                self = APIError(
                    .serviceUnavailable, code: "timeout",
                    "This takes too long to look up. Narrow it down, as by workspace or time.")
            case "55P03", "40001", "40P01":
                self = APIError(
                    .serviceUnavailable, code: "busy", "Somebody else is changing the same. Try again in a moment.",
                    headers: [.retryAfter: "1"])
            case "42P01", "42703", "42883", "3F000":
                self = APIError(
                    .serviceUnavailable, code: Self.notMigratedCode,
                    "The database's schema is not the one expected; an operator has to run 'jobworker migrate'.")
            default:
                if error.isTransient {
                    self = .databaseUnavailable
                } else if state.hasPrefix("22") || state.hasPrefix("23") || state.hasPrefix("54") {
                    self = APIError(
                        .unprocessableContent, code: "unacceptable", "The database does not take one of these values.")
                } else {
                    return nil
                }
            }
        }
    }

    static let notMigratedCode = "not_migrated"

    static let databaseUnavailable = APIError(
        .serviceUnavailable, code: "database_unavailable", "The database can't be reached now. Try again later.",
        headers: [.retryAfter: "5"])

    static let missing = APIError(.notFound, code: "not_found", "There is no such thing, or it is not yours to see.")
}

extension String {
    /// As a sentence of its own.
    var asSentence: String { prefix(1).uppercased() + dropFirst() + (hasSuffix(".") ? "" : ".") }
}
