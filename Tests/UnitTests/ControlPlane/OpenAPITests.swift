import HTTPClient
import HTTPTypes
import JobWorker
import Testing

@testable import ControlPlane

@Suite struct OpenAPITests {
    private static let routes: [Route] = [
        Route(
            .get, "/things/{id}", access: .members, "Shows a thing.",
            parameters: [
                Parameter("limit", Schema(.whole(1...5)), "How many."),
                Parameter("kind", Schema(.choice(["a", "b"])), "Which.", isList: true),
            ], answers: [Answer("It.", Schema(.component("Thing")))], refusals: [.notFound],
            handler: { _ in .json("{}", status: .ok) }),
        Route(
            .post, "/things", access: .operators, "Adds a thing.", body: Schema(.object([], isOpen: false)),
            answers: [Answer("It.", nil, status: .created, contentType: "text/plain")],
            handler: { _ in .json("{}", status: .created) }),
        Route(.get, "/open", access: .anyone, "Says hello.", handler: { _ in .json("{}", status: .ok) }),
    ]

    private let document: JSONValue

    init() throws {
        let text = OpenAPIDocument(
            routes: Self.routes, components: [("Thing", Schema(.object([], isOpen: true)))], version: "1.2.3"
        ).document.text
        document = try JSONText(text).decode()
    }

    private func operation(_ path: String, _ method: String) -> JSONValue? { document["paths"]?[path]?[method] }

    @Test func `it names every route with its method`() {
        #expect(document["openapi"] == "3.1.0" && document["info"]?["version"] == "1.2.3")
        #expect(document["paths"]?.object?.keys.sorted() == ["/open", "/things", "/things/{id}"])
        #expect(operation("/things/{id}", "get")?["summary"] == "Shows a thing.")
        #expect(operation("/things/{id}", "get")?["operationId"] == "get_things_id")
    }

    @Test func `it tells each parameter, those of the path first`() {
        let parameters = operation("/things/{id}", "get")?["parameters"]?.array
        #expect(parameters?.map { $0["name"]?.string } == ["id", "limit", "kind"])
        #expect(parameters?.map { $0["required"] } == [true, false, false])
        #expect(parameters?.first?["schema"] == ["type": "string", "format": "uuid"])
        #expect(parameters?.last?["schema"]?["items"]?["enum"] == ["a", "b"])
    }

    @Test func `it tells each answer, and the refusals that follow from the declaration`() {
        func statuses(_ path: String, _ method: String) -> [String] {
            operation(path, method)?["responses"]?.object?.keys.sorted() ?? []
        }
        #expect(statuses("/open", "get") == ["200", "400", "408", "413", "503"])
        #expect(statuses("/things", "post") == ["201", "400", "401", "403", "408", "413", "415", "422", "503"])
        #expect(
            statuses("/things/{id}", "get") == ["200", "400", "401", "403", "404", "408", "413", "422", "503"])
        let content = operation("/things/{id}", "get")?["responses"]?["200"]?["content"]
        #expect(content?["application/json"]?["schema"] == ["$ref": "#/components/schemas/Thing"])
        #expect(operation("/things", "post")?["responses"]?["201"]?["content"]?.object?.keys.sorted() == ["text/plain"])
    }

    @Test func `it says where a token is needed`() {
        #expect(operation("/open", "get")?["security"] == [])
        #expect(operation("/things", "post")?["security"] == [["bearer": []]])
    }

    @Test func `the description describes itself, and what it holds is what is served`() async throws {
        let routes = OpenAPIRoutes(version: "1", components: []).describing(Self.routes)
        try await withControlPlane(moreRoutes: routes) { plane in
            let answer = try await plane.send("GET", "/openapi.json")
            #expect(answer.status == 200)
            let document: JSONValue = try JSONText(answer.text).decode()
            #expect(document["paths"]?.object?.count == 4)
            #expect(document["paths"]?["/openapi.json"]?["get"] != nil)
            #expect(document["components"]?["schemas"]?["Error"] != nil)
        }
    }
}
