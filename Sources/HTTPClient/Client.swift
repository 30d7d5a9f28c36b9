import CLibCurl

/// Sends HTTP requests over kept-alive connections, all on one thread of its own.
///
/// Redirects are answers, not followed. Only `http` and `https` are spoken; HTTP/2 where TLS offers
/// it. gzip is accepted and decoded. Certificates are checked against the system's authorities. The
/// proxies of the environment (`https_proxy`, `no_proxy` …) are used, except for Unix sockets.
///
/// A request whose kept connection turns out to be closed, before any byte of an answer, is sent once
/// more on a new one, whatever its method.
///
/// A client that is released without `shutdown()` closes its connections and thread by itself.
public final class Client: Sendable {
    public struct Configuration: Sendable {
        /// Sent with every request that has no `User-Agent` of its own.
        public var userAgent: String
        /// Connections open to one host at a time; further requests wait, within their time-out.
        public var maxConnectionsPerHost: Int
        /// Connections open at a time, idle ones included.
        public var maxConnections: Int
        /// A connected transfer that moves less than a byte a second for this long has failed.
        /// Waiting for the first byte of an answer counts. `nil`: the request's own limit is the only one.
        public var stallTimeout: Duration?
        /// Addresses of names, in place of what the system's resolver says: `name:port:address`. For tests.
        package var hosts: [String] = []

        public init(
            userAgent: String = "jobworker", maxConnectionsPerHost: Int = 16,
            maxConnections: Int = 128, stallTimeout: Duration? = .seconds(60)
        ) {
            self.userAgent = userAgent
            self.maxConnectionsPerHost = maxConnectionsPerHost
            self.maxConnections = maxConnections
            self.stallTimeout = stallTimeout
        }
    }

    private let thread: TransferThread

    /// Starts the client's thread. - Precondition: the limits of `configuration` are positive.
    public init(configuration: Configuration = .init()) {
        Self.prepareProcess()
        thread = TransferThread(configuration: configuration)
        thread.start()
    }

    deinit { thread.stop(then: nil) }

    /// Sets libcurl up for this process. Made by the first `init` too; a program that starts threads
    /// of its own before that calls it first.
    public static func prepareProcess() { precondition(curlIsReady, "curl_global_init failed") }

    /// Sends one request and reads the whole answer.
    ///
    /// - Returns: The answer, whatever its status.
    /// - Throws: `HTTPError`, or `CancellationError` at once when the task is cancelled; the
    ///   connection is then closed if an answer was outstanding on it.
    public func send(_ request: Request) async throws -> Response {
        try Task.checkCancellation()
        try request.validate()
        let call = Call(request)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard call.begin(continuation) else { return }
                if !thread.submit(call) { call.end(.failure(HTTPError.clientShutDown)) }
            }
        } onCancel: {
            // The caller first; the connection is closed a moment later.
            if call.end(.failure(CancellationError())) { thread.abort(call) }
        }
    }

    /// Ends what is under way with `clientShutDown`, refuses what comes, and returns when all
    /// connections are closed and the thread has ended. May be called more than once.
    public func shutdown() async {
        await withCheckedContinuation { continuation in thread.stop(then: continuation) }
    }
}

/// Evaluated once, by whoever comes first; the others wait for it.
private let curlIsReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK
