/// Why there is no answer. An answer of any status is not an error.
///
/// After `invalidURL`, `invalidHeader`, `connectionFailed`, `addressRefused` and `clientShutDown` before sending, the
/// server has seen nothing. After the others it may have carried the request out.
public enum HTTPError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The limit that was reached: the request's `timeout` or `connectTimeout`, or the client's
    /// `stallTimeout`.
    case timedOut(after: Duration)
    /// The body, decompressed, is longer than the request's `maxResponseBytes`.
    case responseTooLarge(limit: Int)
    /// Status line and headers of one answer are longer than 64 KiB.
    case headersTooLarge
    /// Name not found, connection refused, TLS refused. Holds libcurl's sentence.
    case connectionFailed(String)
    /// The request may reach public addresses alone, and this is none: nothing was sent there. Holds a sentence.
    case addressRefused(String)
    /// Not an absolute `http` or `https` URL. Holds a sentence, without the URL's secrets.
    case invalidURL(String)
    /// A name or value that can't be sent as it is. Holds a sentence, without the value.
    case invalidHeader(String)
    /// Broke off midway: libcurl's code (https://curl.se/libcurl/c/libcurl-errors.html) and sentence.
    case transport(code: Int, String)
    /// `Client.shutdown()` was called before the answer was there.
    case clientShutDown

    public var description: String {
        switch self {
        case .timedOut(let limit): "timed out after \(limit)"
        case .responseTooLarge(let limit): "the answer is longer than \(limit) bytes"
        case .headersTooLarge: "the answer's headers are longer than \(Transfer.headerBytesMax) bytes"
        case .connectionFailed(let reason): "no connection: \(reason)"
        case .addressRefused(let reason): reason
        case .invalidURL(let reason): "invalid URL: \(reason)"
        case .invalidHeader(let reason): "invalid header: \(reason)"
        case .transport(let code, let reason): "\(reason) (libcurl error \(code))"
        case .clientShutDown: "the HTTP client has been shut down"
        }
    }
}
