import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// `after` of `POST /api/jobs`.
@Suite(.database(), .timeLimit(.minutes(5))) struct WaitingJobRoutesTests {
    let database = TestDatabase.current

    @Test func `a job waits for others of its workspace, one or many at once`() async throws {
        let tenants = try await Tenants(in: database)
        let parent = try await database.insertJob(workspace: tenants.mine)
        let foreign = try await database.insertJob(workspace: tenants.theirs)
        try await withAPI(on: database) { api in
            func job(_ after: String, _ rest: String = "") -> String {
                #"{"workspace_id":"\#(tenants.mine.text)","job_type":"noop","after":["\#(after)"]\#(rest)}"#
            }
            func add(_ body: String) async throws -> APIResponse {
                try await api.send("POST", "/api/jobs", as: .user(tenants.member), body: body)
            }
            let added = try await add(job(parent.text, #","on_dependency_failure":"run","priority":"high""#))
            #expect(added.status == 201 && added.json["status"] == "blocked" && added.json["priority"] == 5)
            let id = try #require(added.json["id"]?.string)
            #expect(
                try await database.count("job_id = '\(id)' AND on_failure = 'run'", of: "public.job_dependencies") == 1)
            let many = try await add(
                #"{"jobs":[\#(job(parent.text)),{"workspace_id":"\#(tenants.mine.text)","job_type":"noop"}]}"#)
            #expect(many.json["jobs"]?.array?.map { $0["status"] } == ["blocked", "pending"])
            // What isn't there, or is somebody else's, is refused, and nothing is added.
            let before = try await database.count("true")
            for other in [foreign, UUID()] { #expect(try await add(job(other.text)).status == 422) }
            #expect(try await database.count("true") == before)
            // A key that is in use gives back its holder.
            let keyed = try await add(job(parent.text, #","unique_key":"k""#))
            #expect(keyed.status == 201)
            let again = try await add(job(parent.text, #","unique_key":"k""#))
            #expect(again.status == 200 && again.json["duplicate"] == true && again.json["id"] == keyed.json["id"])
        }
        try await database.query("UPDATE public.jobs SET status = 'failed' WHERE id = \(parent)")
        #expect(try await database.count("status = 'pending' AND priority = 5") == 1)
        #expect(try await database.count("status = 'cancelled'") == 2)
    }
}
