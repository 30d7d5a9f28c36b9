import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Long lists as chunks with one job after them: by command, over HTTP and from inside a job.
@Suite(.database(), .timeLimit(.minutes(5))) struct SplitTests {
    let database = TestDatabase.current

    private func progress(of step: String) async throws -> JSONValue? {
        try await database.query(
            "SELECT progress FROM public.jobs WHERE workflow_step = \(step)"
        ).first?.decodeIfPresent("progress", as: JSONText.self)?.decode(JSONValue.self)
    }

    @Test func `the job after the chunks shows the share of them that has ended, whatever their end was`() async throws
    {
        let jobs = try LinkedJob.chunks(
            of: (1...8).map { JSONText("\($0)") }, size: 2, type: "sum", finally: "total", onDependencyFailure: .run)
        _ = try await database.store().addWorkflow(
            LinkedJob.list(jobs), named: nil, in: TestDatabase.workspace, by: nil)
        #expect(try await progress(of: "all") == .object([:]))
        for (number, status) in [(1, "completed"), (2, "failed"), (3, "cancelled"), (4, "completed")] {
            let step = "chunk-\(number)"
            try await database.query("UPDATE public.jobs SET status = \(status) WHERE workflow_step = \(step)")
            #expect(
                try await progress(of: "all")
                    == .object([
                        "percentage": .integer(Int64(25 * number)), "done": .integer(Int64(number)),
                        "total": .integer(4), "message": .string("\(number) of 4 jobs have ended"),
                    ]))
        }
        #expect(try await database.count("workflow_step = 'all' AND status = 'pending'") == 1)
    }

    @Test func `a job that waits for one other shows nothing`() async throws {
        _ = try await database.store().addWorkflow(
            LinkedJob.list([LinkedJob(name: "a", type: "x"), LinkedJob(name: "b", type: "x", after: ["a"])]),
            named: nil,
            in: TestDatabase.workspace, by: nil)
        try await database.run("UPDATE public.jobs SET status = 'completed' WHERE workflow_step = 'a'")
        #expect(try await progress(of: "b") == .object([:]))
    }

    @Test func `a file of JSON lines is split by a command, which may wait for the end`() async throws {
        let list = "1\n{\"a\": 12345678901234567890}\n\n\"x\"\n"
        let path = "/tmp/items-\(UUID().text).jsonl"
        try list.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let workspace = TestDatabase.workspace.text
        let added = try await CommandRun.of(
            "workflow", "split", "sum", "--finally", "total", "--items", path, "--size", "2", "--workspace", workspace,
            "--payload", #"{"by": 3}"#, database: database)
        #expect(added.status == 0, "\(added.error)")
        let payloads = try await database.query(
            "SELECT payload::text AS p FROM public.jobs ORDER BY length(workflow_step) DESC, workflow_step"
        ).map { try $0.decode("p", as: String.self) }
        #expect(
            payloads == [
                #"{"by": 3, "chunk": 1, "items": [1, {"a": 12345678901234567890}], "chunks": 2}"#,
                #"{"by": 3, "chunk": 2, "items": ["x"], "chunks": 2}"#, #"{"by": 3, "results": {"$result": "*"}}"#,
            ])
        try await database.run("DELETE FROM public.jobs")
        try await database.withWorker(
            ScriptedProcessor("sum") { job, _ in JSONText(#"{"n":\#(try job.payload.decode(Chunk.self).chunk)}"#) },
            ScriptedProcessor("total") { job, _ in job.payload }
        ) { _ in
            let run = try await CommandRun.of(
                "workflow", "split", "sum", "--finally", "total", "--items", path, "--size", "2", "--workspace",
                workspace, "--wait", database: database)
            #expect(run.status == 0, "\(run.error)")
        }
        #expect(
            try await database.count(
                #"result -> 'results' = '{"chunk-1": {"n": 1}, "chunk-2": {"n": 2}}' AND workflow_step = 'all'"#) == 1)
        try "1\n{,}\n".write(toFile: path, atomically: true, encoding: .utf8)
        let wrong = try await CommandRun.of(
            "workflow", "split", "sum", "--finally", "total", "--items", path, "--workspace", workspace,
            database: database)
        #expect(wrong.status == 64 && wrong.error.contains("line 2 of the list is not valid JSON"))
    }

    private struct Chunk: Decodable { let chunk: Int }

    @Test func `a list is split over HTTP, by any member, all or none`() async throws {
        let tenants = try await Tenants(in: database)
        try await withAPI(on: database) { api in
            func body(_ workspace: UUID, _ rest: String = "") -> String {
                #"{"workspace_id":"\#(workspace.text)","job_type":"sum","finally":"total","items":[1,2,3],"size":2\#(rest)}"#
            }
            let added = try await api.send(
                "POST", "/api/workflows/split", as: .user(tenants.member), body: body(tenants.mine))
            #expect(added.status == 201, "\(added.text)")
            #expect(
                added.json["jobs"]?.array?.compactMap { $0["name"]?.string }.sorted() == ["all", "chunk-1", "chunk-2"])
            #expect(
                try await api.send(
                    "POST", "/api/workflows/split", as: .user(tenants.member), body: body(tenants.theirs)
                ).status == 404)
            #expect(
                try await api.send(
                    "POST", "/api/workflows/split", as: .operator,
                    body: body(tenants.mine, #","payload":{"items":1}"#)
                ).status == 422)
        }
    }

    @Test func `a running job splits its own work`() async throws {
        _ = try await database.store().addWorkflow(
            LinkedJob.list([LinkedJob(name: "start", type: "split")]), named: nil, in: TestDatabase.workspace, by: nil)
        try await database.withWorker(
            ScriptedProcessor("split") { _, context in
                for name in ["all", "more"] {
                    try await context.enqueue(
                        LinkedJob.chunks(
                            of: (1...3).map { JSONText("\($0)") }, size: 1, type: "sum", finally: "total", name: name))
                }
                return nil
            }, ScriptedProcessor("sum"), ScriptedProcessor("total")
        ) { _ in
            try await database.waitUntil("workflow_step = 'all' AND status = 'completed'")
            try await database.waitUntil("workflow_step = 'more' AND status = 'completed'")
        }
        #expect(try await database.count("status = 'completed'") == 9)
    }
}
