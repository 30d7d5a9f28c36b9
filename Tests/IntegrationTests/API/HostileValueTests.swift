import FoundationEssentials
import HTTPTypes
import JobWorker
import Postgres
import Support
import Testing

@testable import ControlPlane

/// Values that mean harm, in every place of every route that takes text. The places come from the declarations.
@Suite(.database(), .timeLimit(.minutes(5))) struct HostileValueTests {
    let database = TestDatabase.current

    private static let values = [
        "' OR 1=1 --", "\"; DROP TABLE public.jobs; --", "'); SELECT pg_sleep(30); --", "\\'; --", "$1", "%", "_%\\",
        "{}", "[]", "null", "../../etc/passwd", "a\u{0}b", "\u{0}", "\r\nSet-Cookie: a=b", "\u{202E}\u{FFFF}😀é\u{301}",
        String(repeating: "x", count: 5000), String(repeating: "'", count: 300), "-1", "1e309", "NaN", "infinity",
        "99999999999999999999999", "0x10", "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "{11111111-1111-4111-8111-111111111111}",
    ]

    /// The requests of a route with one of its places at a time filled with the value.
    private func requests(_ route: Route, _ value: String, workspace: UUID, id: UUID) -> [SampleRequest] {
        var requests: [SampleRequest] = []
        let samples = SampleRequest.all(for: route, ids: [id], workspace: workspace)
        guard let base = samples.first else { return [] }
        let encoded = value.utf8.map { byte in
            "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
        for parameter in route.parameters {
            switch parameter.place {
            case .path:
                requests.append(
                    SampleRequest(
                        method: base.method,
                        path: route.path.description.replacing("{\(parameter.name)}", with: encoded), body: base.body))
            case .query:
                let path = base.path.split(separator: "?")[0]
                requests.append(
                    SampleRequest(method: base.method, path: "\(path)?\(parameter.name)=\(encoded)", body: base.body))
            // A client can't send most of these values in a header; NIO refuses them.
            case .header: break
            }
        }
        for sample in samples {
            guard let body = sample.body, let node = try? JSONReader.read(Array(body.utf8)) else { continue }
            for changed in Self.replacing(node, with: .string(value)) {
                requests.append(SampleRequest(method: base.method, path: base.path, body: changed.text))
            }
        }
        return requests
    }

    /// The node with one of its leaves at a time replaced.
    private static func replacing(_ node: JSONNode, with value: JSONNode) -> [JSONNode] {
        switch node {
        case .object(let members):
            members.indices.flatMap { index in
                replacing(members[index].value, with: value).map { changed in
                    var members = members
                    members[index] = .init(members[index].name, changed)
                    return .object(members)
                }
            } + [.object(members + [.init("x", value)])]
        case .array(let elements):
            elements.indices.flatMap { index in
                replacing(elements[index], with: value).map { changed in
                    var elements = elements
                    elements[index] = changed
                    return .array(elements)
                }
            }
        default: [value]
        }
    }

    @Test func `no value in any place brings about more than a refusal`() async throws {
        let id = try await database.insertJob(status: .failed)
        try await withAPI(on: database) { api in
            var count = 0
            for route in api.routes {
                let statuses = Set((route.answers.map(\.status) + route.refusalStatuses).map(\.code))
                for value in Self.values {
                    for request in requests(route, value, workspace: TestDatabase.workspace, id: id) {
                        // A stream that is let in would never end.
                        if route.answers.contains(where: { $0.contentType == "text/event-stream" }), value.count == 36 {
                            continue
                        }
                        let answer = try await api.send(
                            request.method, request.path, as: .operator, body: request.body)
                        count += 1
                        let place = "\(request.method) \(request.path.prefix(200)) \(request.body?.prefix(300) ?? "")"
                        #expect(answer.status < 500 || answer.status == 503, "\(place): \(answer.text)")
                        // 404 for a path that is spelled so that it leads nowhere.
                        #expect(
                            statuses.contains(answer.status) || answer.status == 404, "\(place): \(answer.status)")
                        for leak in ["SELECT", "syntax error", "PG", ".swift", "relation"] {
                            #expect(!answer.text.contains(leak) || value.contains(leak), "\(place)")
                        }
                    }
                }
            }
            #expect(count > 2000)
        }
        #expect(try await database.count("true") >= 0)
    }

    /// The same through the pages that only members ask.
    @Test func `a member's values don't reach the database as SQL either`() async throws {
        let tenants = try await Tenants(in: database)
        let canary = try await Canary(in: tenants.theirs, of: database)
        try await withAPI(on: database) { api in
            for route in api.routes where route.method == .get && route.access == .members {
                if route.answers.contains(where: { $0.contentType == "text/event-stream" }) { continue }
                for value in Self.values.prefix(10) {
                    for request in requests(route, value, workspace: tenants.mine, id: canary.jobs[0]) {
                        let answer = try await api.send("GET", request.path, as: .user(tenants.member))
                        #expect(answer.status < 500)
                        #expect(!answer.text.contains(Canary.word))
                    }
                }
            }
        }
    }
}
