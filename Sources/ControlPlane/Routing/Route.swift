package import HTTPTypes
package import HummingbirdCore

/// One thing that can be asked of the control plane. Everything that is to be known of it from outside stands here, so
/// that documents can be made from the table of all routes.
package struct Route: Sendable {
    package typealias Handler = @Sendable (APIRequest) async throws -> Response

    package let method: HTTPRequest.Method
    package let path: PathTemplate
    package let access: Access
    /// What it does, in one sentence.
    package let summary: String
    package let handler: Handler

    /// - Parameter handler: Called when the caller may call it and the whole body is there. Throws `APIError` for what
    ///   the caller is to know; anything else is logged and answered as an internal error.
    package init(
        _ method: HTTPRequest.Method, _ path: String, access: Access, _ summary: String, handler: @escaping Handler
    ) {
        self.method = method
        self.path = PathTemplate(path)
        self.access = access
        self.summary = summary
        self.handler = handler
    }
}
