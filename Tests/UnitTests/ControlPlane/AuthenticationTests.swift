@testable import ControlPlane
import HTTPClient
import HTTPTypes
import Testing

@Suite(.timeLimit(.minutes(5)))
struct AuthenticationTests {
    private static let token = ControlPlaneUnderTest.token

    @Test(arguments: [
        [], ["Authorization: "], ["Authorization: Bearer"], ["Authorization: Bearer "], ["Authorization: Bearer wrong"],
        ["Authorization: Bearer \(token)x"], ["Authorization: Bearer \(token.dropLast())"],
        ["Authorization: Bearer \(token) \(token)"], ["Authorization: \(token)"], ["Authorization: Basic \(token)"],
        ["Authorization: Token \(token)"], ["Authorization: Bearer\(token)"], ["Authorization: Bearer,\(token)"],
        ["Authorization: Bearer \(token), Bearer \(token)"], ["Authorization: Bearer alice:\(token)"],
        ["Authorization: Bearer \(token)", "Authorization: Bearer \(token)"],
        ["Authorization: Bearer \(token)", "Authorization: Bearer wrong"],
        ["Authorization: Bearer \(String(repeating: "x", count: 20_000))"], ["X-Authorization: Bearer \(token)"],
        ["Proxy-Authorization: Bearer \(token)"], ["Cookie: token=\(token)"], ["X-Api-Key: \(token)"],
    ])
    func `without the right token everyone gets the same answer`(headers: [String]) async throws {
        let worker = FakeWorker()
        try await withControlPlane(worker: worker) { plane in
            let connection = try await RawConnection(to: plane.address)
            let lines = ["POST /api/jobs/worker?token=\(Self.token)&access_token=\(Self.token) HTTP/1.1", "Host: x"]
            await connection.send(
                (lines + headers + ["Content-Length: 0", "Connection: close", "", ""]).joined(separator: "\r\n"))
            let answer = await connection.receiveAll()
            #expect(answer.hasPrefix("HTTP/1.1 401 "))
            #expect(answer.contains("\r\nWWW-Authenticate: Bearer"))
            #expect(answer.hasSuffix("\r\n\r\n" + #"{"code":"unauthorized","error":"Unauthorized"}"#))
        }
        #expect(worker.pollLimits == [])
    }

    @Test(arguments: ["Bearer", "bearer", "BEARER", "Bearer "])
    func `the scheme may be written in any case`(scheme: String) async throws {
        try await withControlPlane { plane in
            let response = try await plane.send(
                "GET", "/api/jobs/worker", headers: [("Authorization", "\(scheme) \(Self.token)")])
            #expect(response.status == 200)
        }
    }

    @Test func `without any token configured nobody is let in`() async throws {
        try await withControlPlane(tokens: []) { plane in
            for headers in [[], [("Authorization", "Bearer ")], [("Authorization", "Bearer \(Self.token)")]] {
                let response = try await plane.send("GET", "/api/jobs/worker", headers: headers)
                #expect(response.status == 503)
                #expect(response.text.hasPrefix(#"{"code":"token_not_configured","error":""#))
            }
            #expect(try await plane.send("GET", "/health").status == 200)
        }
    }

    @Test func `a reload replaces the tokens on open connections too`() async throws {
        try await withControlPlane { plane in
            #expect(try await plane.sendAuthorized("GET", "/api/jobs/worker").status == 200)
            plane.authentication.replaceOperators(
                with: ControlPlaneUnderTest.operators([("alice", "new"), (nil, "another")]))
            #expect(try await plane.sendAuthorized("GET", "/api/jobs/worker").status == 401)
            for token in ["new", "another"] {
                let response = try await plane.send(
                    "GET", "/api/jobs/worker", headers: [("Authorization", "Bearer \(token)")])
                #expect(response.status == 200)
            }
        }
    }

    @Test func `the caller is named after the token`() throws {
        let authentication = Authentication(
            operators: ControlPlaneUnderTest.operators([("alice", "a"), (nil, "b"), ("carol", "c")]))
        let callers = try ["a", "b", "c"].map {
            try authentication.caller(of: [.authorization: "Bearer \($0)"], for: .operators)
        }
        #expect(callers == [.operator(name: "alice"), .operator(name: nil), .operator(name: "carol")])
        #expect(try authentication.caller(of: [.authorization: "Bearer wrong"], for: .anyone) == .anonymous)
    }
}
