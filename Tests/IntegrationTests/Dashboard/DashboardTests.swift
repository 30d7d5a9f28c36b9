import ControlPlane
import FoundationEssentials
import HTTPTypes
import JobWorker
import Postgres
import Support
import Testing

@testable import Dashboard

/// The pages without a browser: who gets in, what forms are taken, what crosses the border of a workspace.
@Suite(.database(), .timeLimit(.minutes(5))) struct DashboardTests {
    let database = TestDatabase.current

    private static let origin = ("Origin", "http://localhost")

    private func form(
        _ api: APIUnderTest, _ path: String, _ body: String, cookie: String = "",
        origin: (String, String)? = DashboardTests.origin
    ) async throws -> APIResponse {
        var headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Cookie", cookie)]
        if let origin { headers.append(origin) }
        return try await api.send(
            "POST", path, as: .nobody, body: body, headers: headers.map { (name: $0.0, value: $0.1) })
    }

    /// - Returns: The cookie.
    private func signIn(_ api: APIUnderTest, _ token: String = APIUnderTest.operatorToken) async throws -> String {
        let answer = try await form(api, "/dashboard/sign-in", "token=\(token)")
        #expect(answer.status == 303)
        let cookie = try #require(answer.header("Set-Cookie"))
        #expect(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("Secure"))
        return String(cookie.prefix { $0 != ";" })
    }

    private func get(_ api: APIUnderTest, _ path: String, _ cookie: String) async throws -> APIResponse {
        try await api.send("GET", path, as: .nobody, headers: [(name: "Cookie", value: cookie)])
    }

    private func formToken(_ page: APIResponse) throws -> String {
        let mark = "name=\"form_token\" value=\""
        let start = try #require(page.text.firstRange(of: mark)?.upperBound)
        return String(page.text[start...].prefix { $0 != "\"" })
    }

    @Test func `every page has the policy, and leads those who are not signed in to the sign-in`() async throws {
        try await withAPI(on: database) { api in
            let cookie = try await signIn(api)
            for path in ["", "/jobs", "/dead-letters", "/schedules", "/queues", "/workers", "/audit"] {
                let page = try await get(api, "/dashboard\(path)", cookie)
                #expect(page.status == 200, "\(path): \(page.text)")
                let policy = page.header("Content-Security-Policy") ?? ""
                #expect(policy.hasPrefix("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"))
                for stranger in ["", "jobworker_session=", "jobworker_session=0123", cookie + "0"] {
                    let refusal = try await get(api, "/dashboard\(path)", stranger)
                    #expect(refusal.status == 303 && refusal.header("Location") == "/dashboard/sign-in")
                }
            }
        }
    }

    @Test func `a form without its session's secret, or from elsewhere, changes nothing`() async throws {
        let id = try await database.insertJob()
        try await withAPI(on: database) { api in
            let cookie = try await signIn(api)
            let token = try formToken(try await get(api, "/dashboard", cookie))
            let other = try formToken(try await get(api, "/dashboard", try await signIn(api)))
            let path = "/dashboard/jobs/\(id.text)/cancel"
            for (body, origin) in [
                ("", Self.origin), ("form_token=\(other)", Self.origin), ("form_token=\(token)", nil),
                ("form_token=\(token)", ("Origin", "https://elsewhere.example")),
                ("form_token=\(token)", ("Origin", "null")),
            ] {
                #expect(try await form(api, path, body, cookie: cookie, origin: origin).status == 403)
            }
            #expect(try await database.count("status = 'cancelled'") == 0)
            #expect(try await form(api, path, "form_token=\(token)", cookie: cookie).status == 303)
            #expect(try await database.count("status = 'cancelled'") == 1)
            #expect(
                try await database.count("via = 'dashboard' AND actor = 'operator:test'", of: "public.job_audit") == 1)
        }
    }

    @Test func `a session ends by signing out, and the table doesn't hold the cookie`() async throws {
        try await withAPI(on: database) { api in
            let cookie = try await signIn(api)
            let secret = String(cookie.split(separator: "=")[1])
            #expect(
                try await database.count("digest = '\(secret)'", of: "jobworker.sessions") == 0)
            let token = try formToken(try await get(api, "/dashboard", cookie))
            #expect(try await form(api, "/dashboard/sign-out", "form_token=\(token)", cookie: cookie).status == 303)
            #expect(try await database.count("true", of: "jobworker.sessions") == 0)
            #expect(try await get(api, "/dashboard", cookie).status == 303)
        }
    }

    @Test func `a session that nobody used for two hours is over`() async throws {
        try await withAPI(on: database) { api in
            let cookie = try await signIn(api)
            try await database.query(
                "UPDATE jobworker.sessions SET seen_at = clock_timestamp() - interval '121 minutes'")
            #expect(try await get(api, "/dashboard", cookie).status == 303)
        }
    }

    @Test func `asking whether a session goes on is no request that keeps it`() async throws {
        let sessions = SessionStore(database: database.workerPool)
        let cookie = try await sessions.begin(.operator(name: nil), mark: "mark")
        try await database.run("UPDATE jobworker.sessions SET seen_at = clock_timestamp() - interval '90 minutes'")
        #expect(try await sessions.isAlive(cookie))
        #expect(try await database.count("seen_at < now() - interval '80 minutes'", of: "jobworker.sessions") == 1)
        try await sessions.end(cookie)
        #expect(try await !sessions.isAlive(cookie))

        let idle = try await sessions.begin(.operator(name: nil), mark: "mark")
        try await database.run("UPDATE jobworker.sessions SET seen_at = clock_timestamp() - interval '121 minutes'")
        #expect(try await !sessions.isAlive(idle))
        let expired = try await sessions.begin(.operator(name: nil), mark: "mark")
        try await database.run("UPDATE jobworker.sessions SET expires_at = clock_timestamp() - interval '1 second'")
        #expect(try await !sessions.isAlive(expired))
    }

    @Test func `a member sees and changes the workspace's jobs alone`() async throws {
        let tenants = try await Tenants(in: database)
        let mine = try await database.insertJob()
        try await withAPI(on: database) { api in
            let cookie = try await signIn(api, APIUnderTest.token(for: tenants.member))
            let foreign = try await signIn(api, APIUnderTest.token(for: tenants.stranger))
            #expect(try await get(api, "/dashboard/jobs/\(mine.text)", cookie).status == 200)
            #expect(try await get(api, "/dashboard/jobs", cookie).text.contains(mine.text))
            #expect(try await get(api, "/dashboard/jobs/\(mine.text)", foreign).status == 404)
            #expect(!(try await get(api, "/dashboard/jobs", foreign).text.contains(mine.text)))
            for path in ["/queues", "/workers"] {
                #expect(try await get(api, "/dashboard\(path)", cookie).status == 403)
            }
            let token = try formToken(try await get(api, "/dashboard", foreign))
            let attempt = try await form(
                api, "/dashboard/jobs/\(mine.text)/cancel", "form_token=\(token)", cookie: foreign)
            #expect(attempt.status == 404)
        }
    }

    @Test func `all that a filter means is counted before, and changed then, whatever the filter names`() async throws {
        let failed = try await database.insertJob(status: .failed, priority: 3)
        let letter = try await database.insertJob(status: .deadLetter, priority: 3)
        let others = [
            try await database.insertJob(status: .failed, priority: 0),
            try await database.insertJob(status: .completed, priority: 3),
        ]
        try await withAPI(on: database) { api in
            let cookie = try await signIn(api)
            let token = try formToken(try await get(api, "/dashboard", cookie))
            for states in ["status=failed,dead_letter", "status=failed&status=dead_letter"] {
                let body = "form_token=\(token)&action=retry&all=yes&priority=3&\(states)"
                let asked = try await form(api, "/dashboard/jobs/bulk", body, cookie: cookie)
                #expect(asked.status == 200 && asked.text.contains("Retry 2 jobs?"))
            }
            #expect(try await database.count("status = 'pending'") == 0)
            let done = try await form(
                api, "/dashboard/jobs/bulk",
                "form_token=\(token)&action=retry&all=yes&confirmed=yes&priority=3&status=failed&status=dead_letter",
                cookie: cookie)
            #expect(done.status == 200)
        }
        for id in [failed, letter] { #expect(try await database.job(id).status == "pending") }
        for id in others { #expect(try await database.job(id).status != "pending") }
    }

    @Test func `wrong tokens of others keep nobody out`() async throws {
        try await withAPI(on: database) { api in
            for _ in 0..<20 { #expect(try await form(api, "/dashboard/sign-in", "token=wrong").status == 401) }
            _ = try await signIn(api)
        }
    }

    @Test func `no page shows or changes anything of another workspace, whatever is asked for`() async throws {
        let tenants = try await Tenants(in: database)
        let canary = try await Canary(in: tenants.theirs, of: database)
        let before = try await canary.fingerprint()
        try await withAPI(on: database) { api in
            let cookie = try await signIn(api, APIUnderTest.token(for: tenants.owner))
            let token = try formToken(try await get(api, "/dashboard", cookie))
            #expect(api.pages.count > 15)
            // From the table of routes: a new page is asked as well. What ends the session comes last.
            let pages = api.pages.filter { page in
                !["/sign-", "/events"].contains { page.path.description.contains($0) }
            }
            for route in pages {
                let place = route.path.description
                let actions =
                    !place.contains("{action}")
                    ? [""]
                    : place.contains("jobs") ? ["cancel", "retry", "replay", "delete"] : ["pause", "resume", "run"]
                for id in canary.jobs.prefix(3) + [canary.workspace] + canary.records {
                    for action in actions {
                        let path = route.path.description.replacing("{id}", with: id.text)
                            .replacing("{action}", with: action).replacing("{name}", with: "default")
                            .replacing("{path}", with: "x")
                        let answer =
                            route.method == .get
                            ? try await get(
                                api, "\(path)?workspace_id=\(canary.workspace.text)&job_id=\(id.text)", cookie)
                            : try await form(
                                api, path, "form_token=\(token)&ids=\(id.text)&id=\(id.text)&action=\(action)",
                                cookie: cookie)
                        #expect(!answer.text.contains(Canary.word), "\(route.method) \(path)")
                        #expect(answer.status < 500, "\(route.method) \(path): \(answer.text)")
                    }
                }
            }
        }
        #expect(try await canary.fingerprint() == before)
    }

    @Test func `the overview's figures come from indexes, whatever the table holds`() async throws {
        let tenants = try await Tenants(in: database)
        try await database.query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, status, created_at, started_at, completed_at)
            SELECT \(TestDatabase.workspace), 'noop', '{}', CASE WHEN n % 99 = 0 THEN 'failed' ELSE 'completed' END,
                   moment, moment, moment + interval '1 s'
            FROM (SELECT n, now() - n * interval '20 s' AS moment FROM generate_series(1, 20000) AS n) AS numbered
            """)
        try await database.run("VACUUM ANALYZE public.jobs")
        // Sessions tell what they read when they end, or a second later.
        let read: Statement = """
            SELECT seq_scan::int AS scans, idx_scan::int AS looks FROM pg_stat_user_tables
            WHERE relid = 'public.jobs'::regclass
            """
        let before = try await database.query(read)[0]
        let looks: Int = try before.decode("looks")
        for person in [APIUnderTest.operatorToken, APIUnderTest.token(for: tenants.member)] {
            try await withAPI(on: database) { api in
                let page = try await get(api, "/dashboard", try await signIn(api, person))
                #expect(page.status == 200)
                // One of the 179 of the last hour failed. Over all workspaces it is workers who add up what ran.
                #expect(page.text.contains("99 %") == (person != APIUnderTest.operatorToken))
            }
        }
        try await database.waitUntil(
            "relid = 'public.jobs'::regclass AND idx_scan > \(looks)", of: "pg_stat_user_tables")
        let after = try await database.query(read)[0]
        #expect(try after.decode("scans", as: Int.self) == before.decode("scans", as: Int.self))
    }
}
