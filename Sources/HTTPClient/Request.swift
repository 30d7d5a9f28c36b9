/// One HTTP request: a value, sent by `Client.send(_:)`.
public struct Request: Sendable {
    /// Upper case, for example `POST`. With `HEAD` no body is read.
    public var method: String
    /// Absolute, `http` or `https`, already percent-encoded.
    public var url: String
    /// Sent in this order. `User-Agent`, `Host`, `Accept-Encoding`, `Accept` and `Content-Length` are
    /// added when absent; no `Content-Type` is.
    public var headers: [(name: String, value: String)]
    /// `nil`: no body. An empty one is announced with `Content-Length: 0`.
    public var body: [UInt8]?
    /// From the call of `send` to the last byte, waiting for a free connection included.
    public var timeout: Duration
    /// From the first packet, name resolution and TLS included, until the request can be sent.
    public var connectTimeout: Duration
    /// The longest body accepted, counted after decompression.
    public var maxResponseBytes: Int
    /// A body that is longer is cut off, and the answer given without any, instead of an error. For who wants the status.
    public var ignoresLongBody = false
    /// Whether the proxies of the environment are used.
    public var usesProxy = true
    /// Where the connection may go. Looked at for each address that the name has, when it is connected to.
    public var reach = Reach.anywhere
    /// Where to connect instead of the URL's host and port; the URL still gives `Host` and path.
    public var unixSocketPath: String?

    public enum Reach: Sendable, Hashable {
        case anywhere
        /// What whoever gave the URL could reach as well: public addresses, and of the ports below 1024 only 80 and 443.
        /// The environment's proxies are not used, as they would connect on their own.
        case publicAddresses
    }

    public init(
        method: String = "GET", url: String, headers: [(name: String, value: String)] = [],
        body: [UInt8]? = nil, timeout: Duration = .seconds(30),
        connectTimeout: Duration = .seconds(5), maxResponseBytes: Int = 5 * 1024 * 1024,
        unixSocketPath: String? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.connectTimeout = connectTimeout
        self.maxResponseBytes = maxResponseBytes
        self.unixSocketPath = unixSocketPath
    }

    /// Finds what would otherwise be sent as something else: a line end in a header starts another
    /// header, a NUL ends the URL early, a missing scheme is guessed.
    func validate() throws(HTTPError) {
        let scheme = url.prefix { $0 != ":" }.lowercased()
        guard scheme == "http" || scheme == "https", url.dropFirst(scheme.count).hasPrefix("://") else {
            throw .invalidURL("\(url.withoutSecrets) does not start with http:// or https://")
        }
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw .invalidURL("\(url.withoutSecrets) contains a space or a control character")
        }
        guard method.isToken else { throw .invalidHeader("the method is not a word") }
        for (name, value) in headers {
            guard name.isToken else { throw .invalidHeader("a header's name is empty or not a word") }
            guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
                throw .invalidHeader("the value of \(name) contains a control character")
            }
        }
        if let unixSocketPath, unixSocketPath.utf8.contains(0) || unixSocketPath.utf8.count > 107 {
            throw .connectionFailed("the path of a Unix socket has at most 107 bytes and no NUL")
        }
    }
}

extension Request: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private static let secretHeaders: Set<String> = [
        "x-api-key", "authorization", "cookie", "proxy-authorization",
    ]

    /// For logs: without the body, the query, credentials in the URL and the headers that carry keys.
    public var description: String {
        let headers = headers.map { name, value in
            "\(name): \(Self.secretHeaders.contains(name.lowercased()) ? "•••" : value)"
        }
        return "\(method) \(url.withoutSecrets) [\(headers.joined(separator: ", "))]"
            + (body.map { ", \($0.count) bytes" } ?? "")
    }

    public var debugDescription: String { description }

    /// Keeps `dump` and failed expectations from printing what `description` leaves out.
    public var customMirror: Mirror { Mirror(self, children: ["request": description]) }
}

extension String {
    /// A URL to print: user, password, query and fragment left out.
    var withoutSecrets: String {
        let path = prefix { $0 != "?" && $0 != "#" }
        let rest = path.endIndex == endIndex ? "" : "?…"
        // "https:", "", "user:password@host", path …
        var parts = path.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        if parts.count > 2, let at = parts[2].lastIndex(of: "@") {
            parts[2] = parts[2][parts[2].index(after: at)...]
        }
        return parts.joined(separator: "/") + rest
    }

    /// RFC 9110's token: what a method and a header's name are made of.
    fileprivate var isToken: Bool {
        !isEmpty
            && utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default:
                    "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }
}
