import FoundationEssentials
import HTTPTypes
import JobWorker
import Postgres
import Support
import Testing

@testable import ControlPlane

/// Every route, asked across the border of a workspace by everybody who has no business there. The requests are made
/// from the table of routes: a new one is asked as well.
@Suite(.database(), .timeLimit(.minutes(5))) struct APIIsolationTests {
    let database = TestDatabase.current

    /// Streams never end by themselves; they have a test of their own.
    private func isStream(_ route: Route) -> Bool {
        route.answers.contains { $0.contentType == "text/event-stream" }
    }

    @Test func `without a token of one's own nothing is told or done`() async throws {
        let tenants = try await Tenants(in: database)
        let canary = try await Canary(in: tenants.mine, of: database)
        let before = try await canary.fingerprint()
        let strangers: [(Person, [Int])] = [
            (.nobody, [401]), (.bearer(""), [401]), (.bearer("x"), [401]),
            // Signed with another secret.
            (.bearer(APIUnderTest.token(for: tenants.owner, secret: "another")), [401]),
            (.bearer(APIUnderTest.token(for: tenants.owner, expiresIn: -60)), [401]),
            (.bearer(APIUnderTest.token(for: tenants.owner, algorithm: "none")), [401]),
            (.bearer(APIUnderTest.token(for: tenants.owner, role: "anon")), [403]),
            (.bearer(APIUnderTest.token(for: tenants.owner, role: "service_role")), [403]),
        ]
        try await withAPI(on: database) { api in
            #expect(api.routes.count > 35)
            for route in api.routes {
                for request in SampleRequest.all(
                    for: route, ids: [canary.jobs[1], canary.workspace], workspace: canary.workspace)
                {
                    for (person, statuses) in strangers {
                        let answer = try await api.send(request.method, request.path, as: person, body: request.body)
                        // To an attempt's routes a member's token is none at all.
                        let expected = route.access == .attempt ? [401] : statuses
                        #expect(expected.contains(answer.status), "\(request.method) \(request.path): \(answer.text)")
                    }
                }
            }
        }
        #expect(try await canary.fingerprint() == before)
    }

    @Test func `nobody sees or changes anything of a workspace that isn't theirs`() async throws {
        let tenants = try await Tenants(in: database)
        let canary = try await Canary(in: tenants.theirs, of: database)
        _ = try await Canary(in: tenants.mine, of: database, word: "of mine")
        let outsiders = [
            tenants.member, tenants.admin, tenants.owner, try await database.insertUser(),
            try await database.insertMember(of: tenants.theirs, role: "admin", status: "suspended"),
            try await database.insertMember(of: tenants.theirs, status: "invited"),
        ]
        let before = try await canary.fingerprint()
        try await withAPI(on: database) { api in
            for route in api.routes where route.access == .members && !isStream(route) {
                let requests = SampleRequest.all(
                    for: route, ids: canary.jobs + [canary.workspace] + canary.records, workspace: canary.workspace)
                for request in requests {
                    for user in outsiders {
                        let answer = try await api.send(
                            request.method, request.path, as: .user(user), body: request.body)
                        let place = "\(request.method) \(request.path) \(request.body ?? ""): \(answer.text)"
                        #expect(!answer.text.contains(Canary.word) && !answer.text.contains("wxyz"), "\(place)")
                        #expect(answer.status < 500, "\(place)")
                        for job in canary.jobs where !request.path.contains(job.text) {
                            #expect(!answer.text.contains(job.text), "\(place)")
                        }
                        // What belongs to somebody is not found, or not to be changed; a list or a sum is empty.
                        if route.method != .get, !request.path.contains("bulk") {
                            #expect((400..<500).contains(answer.status), "\(place)")
                        }
                    }
                }
                #expect(try await canary.fingerprint() == before, "\(route.method) \(route.path)")
            }
        }
    }

    @Test func `who belongs to both workspaces sees both, who belongs to one sees one`() async throws {
        let tenants = try await Tenants(in: database)
        let both = try await database.insertMember(of: tenants.mine)
        try await database.query(
            """
            INSERT INTO public.workspace_members (workspace_id, user_id, role) VALUES (\(tenants.theirs), \(both), 'sdr')
            """)
        for workspace in [tenants.mine, tenants.theirs] { _ = try await Canary(in: workspace, of: database) }
        try await withAPI(on: database) { api in
            @Sendable func count(_ user: UUID) async throws -> Int? {
                try await api.send("GET", "/api/jobs?limit=200", as: .user(user)).json["jobs"]?.array?.count
            }
            let counts = (
                try await count(both), try await count(tenants.member), try await count(tenants.stranger),
                try await count(try await database.insertUser())
            )
            #expect(counts == (14, 7, 7, 0))
        }
    }

    @Test func `operators' routes are closed to members, however high`() async throws {
        let tenants = try await Tenants(in: database)
        try await withAPI(on: database) { api in
            let routes = api.routes.filter { $0.access == .operators }
            #expect(!routes.isEmpty)
            for route in routes {
                for request in SampleRequest.all(for: route, ids: [tenants.mine], workspace: tenants.mine) {
                    let answer = try await api.send(
                        request.method, request.path, as: .user(tenants.owner), body: request.body)
                    #expect(answer.status == 403, "\(request.method) \(request.path)")
                }
            }
        }
    }

    @Test func `the rights of one request don't stay on a connection for the next`() async throws {
        let tenants = try await Tenants(in: database)
        for workspace in [tenants.mine, tenants.theirs] { _ = try await Canary(in: workspace, of: database) }
        let people: [(Person, Int)] = [
            (.user(tenants.member), 7), (.operator, 14), (.user(tenants.stranger), 7), (.user(UUID()), 0),
        ]
        try await withAPI(on: database) { api in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<200 {
                    let (person, count) = people[number % people.count]
                    group.addTask {
                        // Some fail in the middle of their transaction.
                        if number % 7 == 0 {
                            _ = try await api.send("POST", "/api/jobs/\(UUID().text)/cancel", as: person)
                        }
                        let answer = try await api.send("GET", "/api/jobs?limit=200", as: person)
                        guard answer.status != 503 else { return }
                        #expect(answer.json["jobs"]?.array?.count == count)
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}
