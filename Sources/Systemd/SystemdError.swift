import Glibc

/// What the operating system refused to do for the service.
public struct SystemdError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was tried, for example `reading the credential database_url`.
    public let operation: String
    /// Why not, as a sentence; never the content of a credential.
    public let reason: String

    public init(_ operation: String, reason: String) {
        self.operation = operation
        self.reason = reason
    }

    /// - Parameter code: A positive `errno`.
    init(_ operation: String, code: Int32) {
        self.init(operation, reason: String(cString: strerror(code)))
    }

    public var description: String { "\(operation): \(reason)" }
}
