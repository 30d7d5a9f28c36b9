/// With what the program ends. Scripts rely on it.
package enum ExitStatus: Int32, Sendable {
    case done = 0
    /// The thing asked for failed.
    case failed = 1
    case notFound = 2
    case usage = 64
    /// Neither database nor daemon can be reached.
    case unreachable = 69
    /// The caller, or its role in the database, may not do that.
    case refused = 77
    case badConfiguration = 78
    /// Ctrl-C before it was done.
    case interrupted = 130
}
