/// Why a statement, or the connection under it, failed.
public struct PostgresError: Error, Sendable {
    public enum Reason: Sendable, Hashable {
        /// No connection could be made; nothing was sent.
        case unreachable
        /// Gone midway: the statement may or may not have taken effect.
        case connectionLost
        /// Refused by the server, with this SQLSTATE; it had no effect.
        case rejected(sqlState: String)
        /// The calling task was cancelled; the statement had no effect.
        case cancelled
        /// The answer, or a value to send, does not have the shape the program expects.
        case malformed
    }

    public let reason: Reason
    /// The statement's name, from its leading `/* name */` comment; else its first words.
    public let operation: String
    /// The server's own sentence.
    public let message: String
    /// The server's DETAIL. It may quote values of a row: keep it out of logs and answers.
    public let detail: String?
    public let hint: String?
    public let constraint: String?
    /// Where no connection could be made: the SQLSTATE with which a server refused it, as 28P01 for a wrong password.
    public let connectionRefusal: String?

    public init(
        _ reason: Reason, operation: String, message: String, detail: String? = nil,
        hint: String? = nil, constraint: String? = nil, connectionRefusal: String? = nil
    ) {
        self.reason = reason
        self.operation = operation
        self.message = message
        self.detail = detail
        self.hint = hint
        self.constraint = constraint
        self.connectionRefusal = connectionRefusal
    }

    /// The server's five characters, if it was the server that refused.
    public var sqlState: String? {
        if case .rejected(let state) = reason { state } else { nil }
    }

    /// Whether the same statement may well succeed later, unchanged.
    ///
    /// Class 08, 40001, 40P01, 53xxx, 55P03, 57014, 57P01–57P05, 25006, 25P03, and whatever ended the
    /// connection; see https://www.postgresql.org/docs/15/errcodes-appendix.html.
    public var isTransient: Bool {
        switch reason {
        case .unreachable, .connectionLost: true
        case .cancelled, .malformed: false
        case .rejected(let state):
            state.hasPrefix("08") || state.hasPrefix("53") || state.hasPrefix("57P")
                || ["40001", "40P01", "55P03", "57014", "25006", "25P03"].contains(state)
        }
    }

    /// Whether the connection is unusable after this error.
    public var endsConnection: Bool {
        switch reason {
        case .unreachable, .connectionLost: true
        case .cancelled, .malformed: false
        case .rejected(let state):
            state.hasPrefix("08") || ["57P01", "57P02", "57P03", "57P05", "25P03", "25006"].contains(state)
        }
    }
}

extension PostgresError: CustomStringConvertible {
    /// One sentence without DETAIL, with the next step where one is known.
    public var description: String {
        switch reason {
        case .unreachable:
            "the database can't be reached: \(message)"
        case .connectionLost:
            "\(operation): the connection to the database was lost: \(message)"
        case .rejected("42P01"), .rejected("42703"), .rejected("42883"), .rejected("3F000"):
            "\(operation): the schema is not the one expected (\(message)). Run 'jobworker migrate'."
        case .rejected("42501"):
            "\(operation): the database role lacks a right: \(message)"
        case .rejected(let state):
            "\(operation): \(message) (SQLSTATE \(state))"
        case .cancelled:
            "\(operation): cancelled"
        case .malformed:
            "\(operation): \(message)"
        }
    }
}
