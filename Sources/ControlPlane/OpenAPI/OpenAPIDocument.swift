package import HTTPTypes

/// The description of the HTTP surface in the form of OpenAPI 3.1, made from the routes themselves.
package struct OpenAPIDocument: Sendable {
    private let routes: [Route]
    private let components: [(name: String, schema: Schema)]
    private let version: String

    /// - Parameter components: What routes name by `Schema.Kind.component`.
    package init(routes: [Route], components: [(name: String, schema: Schema)], version: String) {
        self.routes = routes
        self.components = components
        self.version = version
    }

    package var document: JSONNode {
        var paths: [JSONNode.Member] = []
        for route in routes {
            let path = route.path.description
            guard !paths.contains(where: { $0.name == path }) else { continue }
            let operations = routes.filter { $0.path == route.path }.map {
                JSONNode.Member($0.method.rawValue.lowercased(), operation($0))
            }
            paths.append(.init(path, .object(operations)))
        }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "jobworker", "version": .string(version),
                "summary": "Background jobs: added, watched, cancelled, tried again.",
            ],
            "paths": .object(paths),
            "components": [
                "schemas": .object(components.map { .init($0.name, $0.schema.document) }),
                "responses": ["Error": Self.errorResponse],
                "securitySchemes": [
                    "bearer": [
                        "type": "http", "scheme": "bearer",
                        "description":
                            "An operator's token, or where a route lets members in, the JWT of a signed-in user.",
                    ]
                ],
            ],
        ]
    }

    private static let errorResponse: JSONNode = [
        "description": "What is wrong, for people and for programs.",
        "content": ["application/json": ["schema": ["$ref": "#/components/schemas/Error"]]],
    ]

    /// The form of every error.
    package static let errorSchema = Schema(
        .object(
            [
                .init(
                    "error", Schema(.text(0...10_000, isOneLine: false), note: "A sentence for people."),
                    isRequired: true),
                .init(
                    "code",
                    Schema(.text(1...100, isOneLine: true), note: "For programs; stays as it is."), isRequired: true),
            ], isOpen: true))

    private func operation(_ route: Route) -> JSONNode {
        var members: [JSONNode.Member] = [
            .init("operationId", .string(Self.identifier(route))), .init("summary", .string(route.summary)),
        ]
        if let details = route.details { members.append(.init("description", .string(details))) }
        if !route.parameters.isEmpty {
            members.append(.init("parameters", .array(route.parameters.map(Self.parameter))))
        }
        if let body = route.body {
            members.append(
                .init(
                    "requestBody",
                    [
                        "required": .bool(route.isBodyRequired),
                        "content": ["application/json": ["schema": body.document]],
                    ]))
        }
        members.append(.init("responses", .object(responses(route))))
        if !route.audit.isEmpty {
            members.append(.init("x-audit-actions", .array(route.audit.map { .string($0) })))
        }
        members.append(.init("security", route.access == .anyone ? [] : [["bearer": []]]))
        return .object(members)
    }

    private func responses(_ route: Route) -> [JSONNode.Member] {
        let answers = route.answers.isEmpty ? [Answer("As described.", Schema(.anything))] : route.answers
        var responses = answers.map { answer in
            JSONNode.Member(
                String(answer.status.code),
                [
                    "description": .string(answer.note),
                    "content": .object([
                        .init(answer.contentType, ["schema": (answer.schema ?? Schema(.anything)).document])
                    ]),
                ])
        }
        for status in route.refusalStatuses where !responses.contains(where: { $0.name == String(status.code) }) {
            responses.append(.init(String(status.code), ["$ref": "#/components/responses/Error"]))
        }
        return responses
    }

    private static func parameter(_ parameter: Parameter) -> JSONNode {
        var members: [JSONNode.Member] = [
            .init("name", .string(parameter.name)), .init("in", .string(parameter.place.rawValue)),
            .init("description", .string(parameter.note)), .init("required", .bool(parameter.isRequired)),
        ]
        if parameter.isList {
            members += [.init("style", "form"), .init("explode", true)]
            members.append(.init("schema", ["type": "array", "items": parameter.schema.document]))
        } else {
            members.append(.init("schema", parameter.schema.document))
        }
        return .object(members)
    }

    /// As `get_api_jobs_id_logs`.
    static func identifier(_ route: Route) -> String {
        let words = route.path.description.split { !$0.isLetter && !$0.isNumber }
        return ([route.method.rawValue.lowercased()] + words.map(String.init)).joined(separator: "_")
    }
}

extension Route {
    /// With which statuses it may be refused, those included that follow from its other parts.
    package var refusalStatuses: [HTTPResponse.Status] {
        var statuses: Set<Int> = [400, 408, 413, 503]
        statuses.formUnion(refusals.map(\.code))
        if access != .anyone { statuses.formUnion([401, 403]) }
        if body != nil { statuses.formUnion([415, 422]) }
        if parameters.contains(where: { $0.place == .header }) { statuses.formUnion([409, 422]) }
        // Whatever reads values from outside may meet one that the database doesn't take.
        if access == .members { statuses.formUnion([422]) }
        return statuses.sorted().map { HTTPResponse.Status(code: $0) }
    }
}
