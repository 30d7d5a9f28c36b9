/// Why an attempt did not succeed, and what is to follow.
///
/// A processor throws it. Any other error counts as retryable, with its description as the message.
public struct JobFailure: Error, Sendable {
    public enum Kind: Sendable, Hashable {
        /// Trying again can't help: the job fails at once.
        case permanent
        /// Tried again after the usual delay, while attempts are left.
        case retryable
        /// The other side asked to wait: due again after exactly this time (1 s to 1 h are kept), the attempt is given back.
        case snooze(Duration)
    }

    public let kind: Kind
    /// What a member of the workspace reads: what happened, to what, and what to do. No secrets.
    public let message: String
    /// The technical causes, outermost first, one a line in `jobs.error_stack`. No secrets.
    public let causes: [String]

    public init(_ kind: Kind, _ message: String, causes: [String] = []) {
        self.kind = kind
        self.message = message
        self.causes = causes
    }

    public static func permanent(_ message: String, causes: [String] = []) -> JobFailure {
        JobFailure(.permanent, message, causes: causes)
    }

    public static func retryable(_ message: String, causes: [String] = []) -> JobFailure {
        JobFailure(.retryable, message, causes: causes)
    }

    public static func snooze(for delay: Duration, _ message: String) -> JobFailure {
        JobFailure(.snooze(delay), message)
    }
}

extension JobFailure {
    /// How the message of an attempt begins that ran too long.
    package static let timeoutStart = "Timed out:"
}

extension JobFailure: CustomStringConvertible {
    public var description: String { message }
}
