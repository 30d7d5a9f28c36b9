import Postgres

/// What a thrown error means for the job, and its technical trace.
struct FailureReport {
    /// Longest `error_message` and `error_stack`, in bytes.
    static let messageLimit = 8 * 1024
    static let stackLimit = 64 * 1024

    let failure: JobFailure
    /// `Type: text`, for `error_stack`.
    let causes: [String]

    init(_ error: any Error) {
        switch error {
        case let failure as JobFailure:
            self.failure = failure
            causes = []
        case let error as PostgresError:
            // The server's sentence without DETAIL, which may quote a row.
            failure =
                FailureReport.isFinal(error)
                ? .permanent("The database refused: \(error.message)")
                : .retryable("The database failed: \(error.message)")
            causes = ["PostgresError: \(error)"]
        case is CancellationError:
            failure = .retryable("The processor gave up although nobody stopped it")
            causes = ["CancellationError"]
        default:
            failure = .retryable("\(error)")
            causes = ["\(type(of: error)): \(error)"]
        }
    }

    /// A wrong value, a broken constraint, a mistake in the statement, or a limit: the same again ends the same.
    private static func isFinal(_ error: PostgresError) -> Bool {
        guard let state = error.sqlState else { return error.reason == .malformed }
        return ["22", "23", "42", "54"].contains { state.hasPrefix($0) }
    }
}

extension JobFailure {
    /// What a worker makes of an error that a processor threw.
    package static func following(_ error: any Error) -> JobFailure { FailureReport(error).failure }
}
