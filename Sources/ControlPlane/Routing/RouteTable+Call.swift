package import HTTPTypes
package import HummingbirdCore
package import JobWorker
import NIOCore
import Synchronization

extension RouteTable {
    /// Asks a route from within the process, held to the same declaration as a request from outside.
    /// - Parameters:
    ///   - path: Percent-encoded, without the query.
    ///   - body: JSON.
    /// - Throws: `APIError` as a client would get it.
    package func call(
        _ method: HTTPRequest.Method, _ path: String, query: String = "", body: JSONNode? = nil, as caller: Caller,
        via: Requester.Via
    ) async throws -> Response {
        guard case .route(let route, let parameters) = match(method, path) else { throw APIError.notFound }
        if case .member = caller, route.access != .members, route.access != .anyone { throw APIError.operatorsOnly }
        if caller == .anonymous, route.access != .anyone { throw APIError.unauthorized }
        let check = RequestCheck(route: route)
        try check.checkParameters(parameters, query: query, headers: [:])
        let bytes = body.map { ByteBuffer(string: $0.text) } ?? ByteBuffer()
        return try await route.handler(
            APIRequest(
                caller: caller, parameters: parameters, body: bytes,
                document: try check.document(bytes, headers: [.contentType: "application/json"]), query: query, via: via
            ))
    }

    /// The same, for answers that are JSON.
    package func document(
        _ method: HTTPRequest.Method, _ path: String, query: String = "", body: JSONNode? = nil, as caller: Caller,
        via: Requester.Via
    ) async throws -> JSONNode {
        let response = try await call(method, path, query: query, body: body, as: caller, via: via)
        let collector = BodyCollector()
        try await response.body.write(collector)
        guard let node = JSONNode(parsing: Array(buffer: collector.bytes)) else { throw APIError.internalError }
        return node
    }
}

/// Keeps the body of an answer instead of sending it.
///
/// A `Mutex`: the writer is handed over and asked afterwards.
private final class BodyCollector: ResponseBodyWriter, Sendable {
    private let state = Mutex(ByteBuffer())

    var bytes: ByteBuffer { state.withLock { $0 } }

    func write(_ buffer: ByteBuffer) async throws {
        state.withLock { bytes in
            var buffer = buffer
            bytes.writeBuffer(&buffer)
        }
    }

    func finish(_ trailingHeaders: HTTPFields?) async throws {}
}
