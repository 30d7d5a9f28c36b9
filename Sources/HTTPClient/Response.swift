/// What the server answered, whatever its status.
public struct Response: Sendable {
    /// 200 to 599; interim answers (1xx) are left out.
    public let status: Int
    /// As received, in order, trailers last. A decompressed body's `Content-Encoding` and
    /// `Content-Length` are still those of the wire.
    public let headers: [(name: String, value: String)]
    /// Whole and decompressed. Empty for `HEAD`.
    public let body: [UInt8]

    public init(status: Int, headers: [(name: String, value: String)], body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The first value under this name, upper and lower case alike; `nil` if there is none.
    public func header(_ name: String) -> String? {
        let name = name.lowercased()
        return headers.first { $0.name.lowercased() == name }?.value
    }
}
