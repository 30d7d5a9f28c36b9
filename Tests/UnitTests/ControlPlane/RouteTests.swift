@testable import ControlPlane
import HTTPTypes
import Testing

struct RouteTests {
    private let table = RouteTable(
        [
            (.get, "/api/jobs"), (.post, "/api/jobs"), (.get, "/api/jobs/{id}"), (.delete, "/api/jobs/{id}"),
            (.post, "/api/jobs/worker"), (.get, "/api/jobs/{id}/logs"), (.get, "/api/{kind}/worker/logs"),
        ].map { method, path in Route(method, path, access: .anyone, "") { _ in try .json([path]) } })

    @Test(
        arguments: [
            (.get, "/api/jobs", "/api/jobs", [:]), (.head, "/api/jobs", "/api/jobs", [:]),
            (.get, "/api/jobs/7f", "/api/jobs/{id}", ["id": "7f"]),
            (.get, "/api/jobs/a%20b%C3%A9", "/api/jobs/{id}", ["id": "a bé"]),
            (.post, "/api/jobs/worker", "/api/jobs/worker", [:]),
            (.get, "/api/jobs/worker/logs", "/api/jobs/{id}/logs", ["id": "worker"]),
            (.get, "/api/mail/worker/logs", "/api/{kind}/worker/logs", ["kind": "mail"]),
        ] as [(HTTPRequest.Method, String, String, [String: String])])
    func `a path leads to the most specific route`(
        method: HTTPRequest.Method, path: String, route: String, parameters: [String: String]
    ) {
        guard case .route(let found, let values) = table.match(method, path) else {
            Issue.record("\(path) was not found")
            return
        }
        #expect(found.path.description == route)
        #expect(values == parameters)
    }

    @Test(arguments: [
        ("/api/keys", "/api/keys"), ("/api/jobs", "/api/{thing}"), ("/jobs", "/{any}"), ("/jobs/api", "/{any}/{thing}"),
        // Counted as the same text as the route's, but not the same bytes.
        ("/api/\u{212A}", "/api/{thing}"), ("/api/K", "/api/K"),
    ])
    func `literals win over places, in whatever order routes are declared`(path: String, route: String) {
        let paths = ["/{any}/{thing}", "/{any}", "/api/{thing}", "/api/keys", "/api/{thing}/x", "/", "/api/K"]
        for order in [paths, paths.reversed(), paths.sorted()] {
            let table = RouteTable(order.map { Route(.get, $0, access: .anyone, "") { _ in try .json([""]) } })
            guard case .route(let found, _) = table.match(.get, path) else {
                Issue.record("\(path) was not found")
                continue
            }
            #expect(found.path.description == route)
        }
    }

    @Test(arguments: [
        "", "api/jobs", "/", "//api/jobs", "/api//jobs", "/api/jobs/", "/api/./jobs", "/api/x/../jobs", "/api/%6Aobs",
        "/API/jobs", "/api/jobs/a%2Fb", "/api/jobs/a%00b", "/api/jobs/%", "/api/jobs/%4", "/api/jobs/%zz",
        "/api/jobs/%FF", "/api/jobs;x", "/api/jobs#x", "/etc/passwd", "*", "http://host/api/jobs",
    ])
    func `a path that is spelled otherwise is unknown`(path: String) {
        guard case .unknownPath = table.match(.get, path) else {
            Issue.record("\(path) was found")
            return
        }
    }

    @Test(
        arguments: [
            ("/api/jobs", .delete, ["GET", "HEAD", "POST"]), ("/api/jobs/7", .post, ["DELETE", "GET", "HEAD"]),
            // Not a job with the id "worker".
            ("/api/jobs/worker", .delete, ["POST"]), ("/api/jobs/worker", .get, ["POST"]),
        ] as [(String, HTTPRequest.Method, [String])])
    func `a known path tells its methods`(path: String, method: HTTPRequest.Method, methods: [String]) {
        guard case .otherMethods(let allowed) = table.match(method, path) else {
            Issue.record("\(method) \(path) was not refused")
            return
        }
        #expect(allowed.map(\.rawValue) == methods)
    }

    @Test(
        arguments: [
            ("", nil), ("wait_ms=0", 0), ("wait_ms=60000", 60_000), ("a=b&wait_ms=7&c", 7), ("wait%5Fms=7", 7),
        ] as [(String, Int?)])
    func `a number is read from the query`(query: String, number: Int?) throws {
        let request = APIRequest(caller: .anonymous, query: query)
        #expect(try request.number("wait_ms", in: 0...60_000) == number)
    }

    @Test(arguments: [
        "wait_ms", "wait_ms=", "wait_ms=-1", "wait_ms=+1", "wait_ms=60001", "wait_ms=1e3", "wait_ms=1.5",
        "wait_ms=99999999999999999999", "wait_ms=%201", "wait_ms=1&wait_ms=1", "wait_ms=%F", "wait_ms=\u{0661}",
    ])
    func `a number that is none is refused`(query: String) {
        #expect(throws: APIError.self) {
            try APIRequest(caller: .anonymous, query: query).number("wait_ms", in: 0...60_000)
        }
    }

    @Test(arguments: [(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (1_772_439_300, "Mon, 02 Mar 2026 08:15:00 GMT")])
    func `dates are written as HTTP wants them`(seconds: Int, text: String) {
        #expect(HTTPDate(secondsSince1970: seconds).text == text)
    }
}
