package import HTTPTypes
package import HummingbirdCore

/// One thing that can be asked of the control plane. Everything that is to be known of it from outside stands here:
/// requests are checked against it, and the description at `/openapi.json` is made from it.
package struct Route: Sendable {
    package typealias Handler = @Sendable (APIRequest) async throws -> Response

    package let method: HTTPRequest.Method
    package let path: PathTemplate
    package let access: Access
    /// What it does, in one sentence.
    package let summary: String
    /// What else is to be known; CommonMark.
    package let details: String?
    /// Those of the path first.
    package let parameters: [Parameter]
    /// `nil` where a body is not looked at.
    package let body: Schema?
    package let isBodyRequired: Bool
    package let answers: [Answer]
    /// What it may be refused with besides what follows from the rest: a missing job, a state that doesn't allow it.
    package let refusals: [HTTPResponse.Status]
    /// The actions that `job_audit` tells of it, as `job.cancel`; none where it changes nothing.
    package let audit: [String]
    package let handler: Handler

    /// - Parameters:
    ///   - parameters: A place in the path that isn't named here takes a UUID.
    ///   - handler: Called when the caller may call it, the whole body is there, and both have the declared form.
    ///     Throws `APIError` for what the caller is to know; anything else is logged and answered as an internal error.
    package init(
        _ method: HTTPRequest.Method, _ path: String, access: Access, _ summary: String, details: String? = nil,
        parameters: [Parameter] = [], body: Schema? = nil, isBodyRequired: Bool = true, answers: [Answer] = [],
        refusals: [HTTPResponse.Status] = [], audit: [String] = [], handler: @escaping Handler
    ) {
        self.method = method
        self.path = PathTemplate(path)
        self.access = access
        self.summary = summary
        self.details = details
        let places = self.path.parameters.map { name in
            parameters.first { $0.place == .path && $0.name == name }
                ?? Parameter(name, in: .path, Schema(.uuid), "Which one.")
        }
        self.parameters = places + parameters.filter { $0.place != .path }
        self.body = body
        self.isBodyRequired = isBodyRequired
        self.answers = answers
        self.refusals = refusals
        self.audit = audit
        self.handler = handler
    }
}

/// A value that a request carries beside its body.
package struct Parameter: Sendable {
    package enum Place: String, Sendable {
        case path, query, header
    }

    package let name: String
    package let place: Place
    package let schema: Schema
    package let note: String
    package let isRequired: Bool
    /// Whether it may be given several times, or with commas between its values.
    package let isList: Bool

    package init(
        _ name: String, in place: Place = .query, _ schema: Schema, _ note: String, isRequired: Bool = false,
        isList: Bool = false
    ) {
        self.name = name
        self.place = place
        self.schema = schema
        self.note = note
        self.isRequired = isRequired || place == .path
        self.isList = isList
    }
}

/// What a route answers when all is well.
package struct Answer: Sendable {
    package let status: HTTPResponse.Status
    package let note: String
    /// `nil` for an answer that is no JSON.
    package let schema: Schema?
    package let contentType: String

    package init(
        _ note: String, _ schema: Schema?, status: HTTPResponse.Status = .ok,
        contentType: String = "application/json"
    ) {
        self.status = status
        self.note = note
        self.schema = schema
        self.contentType = contentType
    }
}
