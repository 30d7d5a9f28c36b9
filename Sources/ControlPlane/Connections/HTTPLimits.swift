import Glibc

/// How much time and memory one client gets, so that no client can take them from the others.
package struct HTTPLimits: Sendable, Hashable {
    /// Longest header line, and longest sum of a request's header lines, in bytes; beyond it 400.
    package var headerBytesMax = 32 * 1024
    /// Most header lines of a request; beyond it 400.
    package var headerCountMax = 100
    /// From the first byte of a request to the end of its headers; then the connection is closed.
    package var headTimeout = Duration.seconds(10)
    /// Longest body of a request; beyond it 413.
    package var bodyBytesMax = 1024 * 1024
    /// From the end of the headers to the end of the body; then 408.
    package var bodyTimeout = Duration.seconds(30)
    /// How long a connection may wait for its next request; then it is closed.
    package var idleTimeout = Duration.seconds(60)
    /// How long a client may leave an answer unread; then the connection is closed.
    package var unreadTimeout = Duration.seconds(30)
    /// After the last answer of a connection, how long the client has for reading it and hanging up.
    package var lingerTimeout = Duration.seconds(2)
    /// Open connections of each listening socket. One more closes the connection that has kept the server waiting
    /// longest, or is closed itself while all of them wait for the server. At most a quarter of the descriptors this
    /// process may open: the jobs need the others.
    package var maxConnections = min(256, max(8, HTTPLimits.descriptorsMax / 4))
    /// A connection with a descriptor of this number or above is one too many as well: the system gives the lowest that
    /// is free, so there are few left, and without one no session with the database can be opened again.
    package var descriptorLimit = HTTPLimits.descriptorsMax - max(12, min(64, HTTPLimits.descriptorsMax / 8))
    /// So many connections of each listening socket are served whatever descriptors are left.
    package var connectionsAlways = 4
    /// Requests that need the database and are worked on at once; one more is answered 503.
    package var databaseRequestsMax = 32
    /// After a stop was asked for, how long a connection that has not asked anything yet may still do so: its client
    /// saw it accepted, and the next process can't take it over.
    package var firstRequestGrace = Duration.milliseconds(500)
    /// After a stop was asked for, how long requests in progress go on.
    package var stopTimeout = Duration.seconds(5)

    package init() {}

    private static var descriptorsMax: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        return Int(clamping: limit.rlim_cur)
    }
}
