package import HTTPTypes
import HummingbirdCore
import JobWorker

/// A request that can't be served as asked: becomes `{"error":"…","code":"…"}`.
package struct APIError: Error, Sendable, Hashable, CustomStringConvertible {
    package let status: HTTPResponse.Status
    /// Stable, in snake_case, for programs.
    package let code: String
    /// A sentence for people. Never a stack, a query or what belongs to somebody else.
    package let message: String
    package var headers: HTTPFields

    package init(_ status: HTTPResponse.Status, code: String, _ message: String, headers: HTTPFields = [:]) {
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers
    }

    package var description: String { "\(status.code) \(code): \(message)" }

    private struct Document: Encodable {
        let error: String
        let code: String
    }

    /// The document, as it is sent.
    var text: String {
        (try? JSONText(encoding: Document(error: message, code: code)).text) ?? #"{"code":"\#(code)","error":""}"#
    }

    var response: Response { .json(text, status: status, headers: headers) }
}

extension APIError {
    // What every route may answer.

    static let malformedRequest = APIError(
        .badRequest, code: "malformed_request", "The request is not valid HTTP/1.1, or its headers are too long.")
    static let unauthorized = APIError(
        .unauthorized, code: "unauthorized", "Unauthorized", headers: [.wwwAuthenticate: #"Bearer realm="jobworker""#])
    static let tokenNotConfigured = APIError(
        .serviceUnavailable, code: "token_not_configured",
        "No operator token is configured, so nobody can be let in here. Set WORKER_SECRET_TOKEN.")
    static let otherRole = APIError(
        .forbidden, code: "forbidden", "Only tokens with the role \"authenticated\" are let in here.")
    package static let operatorsOnly = APIError(.forbidden, code: "forbidden", "This is for operators alone.")
    static let busy = APIError(
        .serviceUnavailable, code: "busy", "Too many requests are being worked on. Try again in a moment.",
        headers: [.retryAfter: "1"])
    static let unsupportedMediaType = APIError(
        .unsupportedMediaType, code: "unsupported_media_type", "The body must be application/json, in UTF-8.")
    static let notFound = APIError(.notFound, code: "not_found", "There is nothing at this path.")
    static let bodyTooSlow = APIError(
        .requestTimeout, code: "request_timeout", "The body of the request did not arrive in time.")
    static let stopping = APIError(.serviceUnavailable, code: "stopping", "The server is stopping.")
    static let internalError = APIError(
        .internalServerError, code: "internal_error", "Something unexpected went wrong; the log says what.")

    static func methodNotAllowed(_ allowed: [HTTPRequest.Method]) -> APIError {
        let list = allowed.map(\.rawValue).joined(separator: ", ")
        return APIError(
            .methodNotAllowed, code: "method_not_allowed", "This path can be asked with \(list) only.",
            headers: [.allow: list])
    }

    static func bodyTooLarge(limit: Int) -> APIError {
        APIError(.contentTooLarge, code: "payload_too_large", "The body of a request has at most \(limit) bytes.")
    }

    package static func invalidParameter(_ name: String, _ rule: String) -> APIError {
        APIError(.badRequest, code: "invalid_parameter", "\(name) \(rule).")
    }
}
