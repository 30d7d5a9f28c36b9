import FoundationEssentials
import HTTPTypes
import JobWorker
import Postgres
import Support
import Testing

@testable import ControlPlane

/// Requests that take effect once.
@Suite(.database(), .timeLimit(.minutes(5))) struct IdempotencyTests {
    let database = TestDatabase.current

    private static func key(_ text: String) -> [(name: String, value: String)] { [("Idempotency-Key", text)] }

    @Test func `every POST that changes something takes a key`() async throws {
        try await withAPI(on: database) { api in
            for route in api.routes where route.method == .post && !route.audit.isEmpty {
                #expect(route.parameters.contains { $0.name == "Idempotency-Key" }, "\(route.path)")
            }
        }
    }

    @Test func `a bulk replay that is sent again adds no job twice`() async throws {
        for _ in 0..<150 { _ = try await database.insertJob(status: .failed) }
        let body = #"{"action":"replay","filter":{"job_type":"noop"}}"#
        try await withAPI(on: database) { api in
            let first = try await api.send(
                "POST", "/api/jobs/bulk", as: .operator, body: body, headers: Self.key("a"))
            #expect(first.json == ["matched": 150, "changed": 150, "more": false])
            let again = try await api.send(
                "POST", "/api/jobs/bulk", as: .operator, body: body, headers: Self.key("a"))
            #expect(again.text == first.text && again.header("Idempotent-Replayed") == "true")
            #expect(try await database.count("replay_of IS NOT NULL") == 150)
            let other = try await api.send(
                "POST", "/api/jobs/bulk", as: .operator, body: body.replacing("noop", with: "mail"),
                headers: Self.key("a"))
            #expect(other.status == 422 && other.code == "idempotency_key_reused")
        }
    }

    @Test func `a bulk replay that was interrupted goes on where it stood`() async throws {
        for _ in 0..<150 { _ = try await database.insertJob(status: .failed) }
        let body = #"{"action":"replay","filter":{"job_type":"noop"}}"#
        let database = database
        try await withAPI(on: database) { api in
            // The second hundred waits for this job, until the request is given up.
            let last: UUID = try #require(
                try await database.value(
                    "SELECT id FROM public.jobs WHERE status = 'failed' ORDER BY created_at, id LIMIT 1"))
            try await database.run(
                """
                CREATE FUNCTION public.stumble() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF NEW.replay_of = '\(last.text)' THEN
                        RAISE EXCEPTION 'stumbled' USING ERRCODE = 'serialization_failure';
                    END IF;
                    RETURN NEW;
                END $$;
                CREATE TRIGGER stumble BEFORE INSERT ON public.jobs FOR EACH ROW EXECUTE FUNCTION public.stumble()
                """)
            let first = try await api.send(
                "POST", "/api/jobs/bulk", as: .operator, body: body, headers: Self.key("b"))
            #expect(first.status == 503)
            #expect(try await database.count("replay_of IS NOT NULL") == 100)
            try await database.run("DROP TRIGGER stumble ON public.jobs; DROP FUNCTION public.stumble()")
            let again = try await api.send(
                "POST", "/api/jobs/bulk", as: .operator, body: body, headers: Self.key("b"))
            #expect(again.json == ["matched": 150, "changed": 150, "more": false])
            #expect(try await database.count("replay_of IS NOT NULL") == 150)
            #expect(
                try await database.value("SELECT count(DISTINCT replay_of) FROM public.jobs", as: Int.self) == 150)
        }
    }

    @Test func `members' bulk changes take a key, too, and theirs is not another's`() async throws {
        let tenants = try await Tenants(in: database)
        _ = try await database.insertJob(status: .failed)
        let body = #"{"action":"replay","filter":{"job_type":"noop"}}"#
        try await withAPI(on: database) { api in
            for person in [Person.user(tenants.admin), .user(tenants.owner), .user(tenants.admin)] {
                let answer = try await api.send(
                    "POST", "/api/jobs/bulk", as: person, body: body, headers: Self.key("c"))
                #expect(answer.status == 200 && answer.json["changed"] == 1, "\(answer.text)")
            }
            #expect(try await database.count("replay_of IS NOT NULL") == 2)
        }
    }

    @Test func `queues and keys are changed once, and what is remembered of a key tells nothing of it`() async throws {
        let tenants = try await Tenants(in: database)
        try await withAPI(on: database) { api in
            let pause = try await api.send("POST", "/api/queues/mail/pause", as: .operator, headers: Self.key("d"))
            _ = try await api.send("POST", "/api/queues/mail/resume", as: .operator, headers: Self.key("e"))
            let again = try await api.send("POST", "/api/queues/mail/pause", as: .operator, headers: Self.key("d"))
            #expect(again.text == pause.text && again.header("Idempotent-Replayed") == "true")
            #expect(try await database.count("paused_at IS NOT NULL", of: "public.job_queues") == 0)

            let path = "/api/workspaces/\(tenants.mine.text)/settings/apollo-key"
            for (secret, status, isAgain) in [("first-key-1111", 200, false), ("first-key-1111", 200, true)] {
                let answer = try await api.send(
                    "PUT", path, as: .user(tenants.admin), body: #"{"api_key":"\#(secret)"}"#, headers: Self.key("f"))
                #expect(answer.status == status && (answer.header("Idempotent-Replayed") == "true") == isAgain)
            }
            let other = try await api.send(
                "PUT", path, as: .user(tenants.admin), body: #"{"api_key":"other-key-1111"}"#, headers: Self.key("f"))
            #expect(other.status == 422)
            let rotated = try await api.send(
                "POST", path + "/rotate", as: .user(tenants.admin), headers: Self.key("g"))
            #expect(rotated.json == ["rotated": false])
            let kept: String? = try await database.value(
                "SELECT string_agg(r::text, '') FROM jobworker.api_requests AS r")
            #expect(kept?.contains("first-key") == false)
            #expect(try await database.count("action LIKE 'settings.%'", of: "public.job_audit") == 1)
        }
    }
}
