import HTTPTypes
import HummingbirdCore

/// The description of all routes, its own included.
package struct OpenAPIRoutes: Sendable {
    private let version: String
    private let components: [(name: String, schema: Schema)]

    package init(version: String, components: [(name: String, schema: Schema)]) {
        self.version = version
        self.components = components + [("Error", OpenAPIDocument.errorSchema)]
    }

    /// All routes: those given, and the one that describes them.
    package func describing(_ routes: [Route]) -> [Route] {
        func own(_ text: String) -> Route {
            Route(
                .get, "/openapi.json", access: .anyone, "Describes all of this, as OpenAPI 3.1.",
                answers: [Answer("The description.", Schema(.object([], isOpen: true)))],
                handler: { _ in .json(text, status: .ok) })
        }
        let document = OpenAPIDocument(routes: routes + [own("")], components: components, version: version).document
        return routes + [own(document.text)]
    }
}
