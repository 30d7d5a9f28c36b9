import FoundationEssentials
import Postgres
import Support
import Testing

@testable import JobWorker

@Suite(.database()) struct WorkflowTests {
    let database = TestDatabase.current

    private static let requester = Requester(actor: "operator:test", via: .cli)

    private func add(_ jobs: [LinkedJob], in workspace: UUID = TestDatabase.workspace) async throws -> UUID {
        try await database.store().addWorkflow(LinkedJob.list(jobs), named: "w", in: workspace, by: Self.requester)
    }

    private func diamond(_ policy: LinkedJob.OnDependencyFailure = .cancel) async throws -> UUID {
        try await add([
            LinkedJob(name: "a", type: "noop"), LinkedJob(name: "b", type: "noop", after: ["a"]),
            LinkedJob(name: "c", type: "noop", after: ["a"]),
            LinkedJob(name: "d", type: "noop", after: ["b", "c"], onDependencyFailure: policy),
        ])
    }

    private func set(_ step: String, _ status: String) async throws {
        try await database.query("UPDATE public.jobs SET status = \(status) WHERE workflow_step = \(step)")
    }

    /// The steps' states, in the order of their names.
    private var states: String {
        get async throws {
            try await database.value(
                """
                SELECT coalesce(string_agg(workflow_step || ' ' || status, ', ' ORDER BY workflow_step), '')
                FROM public.jobs WHERE workflow_step IS NOT NULL
                """) ?? ""
        }
    }

    private func refusal(_ jobs: String) async throws -> String {
        do {
            _ = try await database.store().addWorkflow(
                "\(JSONText(jobs))", named: nil, in: TestDatabase.workspace, by: Self.requester)
            return "none"
        } catch let refusal as WorkflowRefusal {
            return refusal.description
        }
    }

    /// A plan made for a few children compares each with each: ten thousand took 25 s.
    @Test func `many children are let go by a plan made for many, few by one that is there already`() async throws {
        try await database.run(
            """
            CREATE TABLE public.modes (step text, mode text);
            CREATE FUNCTION public.note_mode() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO public.modes VALUES (NEW.workflow_step, current_setting('plan_cache_mode'));
                RETURN NULL;
            END $$;
            CREATE TRIGGER note_mode AFTER UPDATE ON public.jobs
                FOR EACH ROW WHEN (OLD.status = 'blocked') EXECUTE FUNCTION public.note_mode();
            """)
        for (head, children) in [("few", 50), ("many", 51)] {
            let behind = (1...children).map { LinkedJob(name: "\(head)-\($0)", type: "noop", after: [head]) }
            _ = try await add([LinkedJob(name: head, type: "noop")] + behind)
            try await set(head, "completed")
        }
        let modes = try await database.query(
            "SELECT split_part(step, '-', 1) || ' ' || mode AS mode, count(*) AS count FROM public.modes GROUP BY 1 ORDER BY 1"
        ).map { "\(try $0.decode("mode", as: String.self)) \(try $0.decode("count", as: Int.self))" }
        #expect(modes == ["few auto 50", "many force_custom_plan 51"])
    }

    // MARK: Adding

    @Test(arguments: [
        (#"[]"#, "there are 0 jobs; write 1 to 100000"),
        (#"[1]"#, "job 1 must be an object"),
        (#"[{"name":"a"}]"#, "the job 'a' needs a job_type of 1 to 100 characters"),
        (
            #"[{"name":"a b","job_type":"x"}]"#,
            "the job 'a b' needs a name of letters, digits, - and _, at most 100 of them"
        ),
        (#"[{"job_type":"x","colour":1}]"#, "job 1 has the unknown field 'colour'"),
        (#"[{"name":"a","job_type":"x"},{"name":"a","job_type":"x"}]"#, "two jobs have the name 'a'"),
        (#"[{"name":"a","job_type":"x","after":["b"]}]"#, "the job 'a' waits for 'b', and there is no such job"),
        (#"[{"name":"a","job_type":"x","after":["a"]}]"#, "the jobs wait for each other in a circle: a after a"),
        (
            #"[{"name":"a","job_type":"x","after":["c"]},{"name":"b","job_type":"x","after":["a"]},{"name":"c","job_type":"x","after":["b"]}]"#,
            "the jobs wait for each other in a circle: a after c after b after a"
        ),
        (
            #"[{"name":"a","job_type":"x"},{"name":"b","job_type":"x","after":["a"],"payload":{"x":{"$result":"c.y"}}}]"#,
            "the payload of the job 'b' asks for the result of 'c', which is not among those in after"
        ),
    ])
    func `what can't work is refused in a sentence, and nothing is added`(jobs: String, sentence: String) async throws {
        #expect(try await refusal(jobs) == sentence)
        #expect(try await database.count("true") == 0)
        #expect(try await database.count("true", of: "public.job_workflows") == 0)
    }

    @Test func `a job can't wait for another workspace's`() async throws {
        let foreign = try await database.insertJob(workspace: try await database.insertWorkspace())
        await #expect(throws: WorkflowRefusal.invalid("job 1 waits for '\(foreign.text)', and there is no such job")) {
            try await database.store().add(
                [LinkedJob(type: "noop", after: [foreign.text])], in: TestDatabase.workspace, by: nil)
        }
    }

    // MARK: When parents end

    @Test func `children start once all of their parents have completed`() async throws {
        _ = try await diamond()
        #expect(try await states == "a pending, b blocked, c blocked, d blocked")
        try await set("a", "completed")
        #expect(try await states == "a completed, b pending, c pending, d blocked")
        try await set("b", "completed")
        #expect(try await states == "a completed, b completed, c pending, d blocked")
        try await set("c", "completed")
        #expect(try await states == "a completed, b completed, c completed, d pending")
    }

    @Test(arguments: ["failed", "dead_letter", "cancelled"])
    func `a parent that doesn't complete cancels what is below it`(ending: String) async throws {
        _ = try await diamond()
        try await set("a", ending)
        #expect(try await states == "a \(ending), b cancelled, c cancelled, d cancelled")
        #expect(try await database.count("error_message LIKE 'Cancelled because job %'") == 3)
    }

    @Test(arguments: ["failed", "dead_letter", "cancelled"])
    func `an arm that doesn't complete cancels what joins both, at once, and leaves the other arm alone`(
        ending: String
    ) async throws {
        _ = try await diamond()
        try await set("a", "completed")
        try await set("b", ending)
        #expect(try await states == "a completed, b \(ending), c pending, d cancelled")
        try await set("c", "completed")
        #expect(try await states == "a completed, b \(ending), c completed, d cancelled")
    }

    @Test func `both arms fail: what joins them is cancelled once, or runs`() async throws {
        for (policy, end) in [(LinkedJob.OnDependencyFailure.cancel, "cancelled"), (.run, "pending")] {
            try await database.run("DELETE FROM public.jobs")
            _ = try await diamond(policy)
            try await set("a", "completed")
            try await database.run(
                "UPDATE public.jobs SET status = 'failed' WHERE workflow_step IN ('b', 'c')")
            #expect(try await states == "a completed, b failed, c failed, d \(end)")
            #expect(
                try await database.count(
                    "message LIKE 'Cancelled because%'", of: "public.job_logs") == (end == "cancelled" ? 1 : 0))
        }
    }

    @Test func `where it is to run all the same, a child only waits for its parents' end`() async throws {
        _ = try await diamond(.run)
        try await set("a", "completed")
        try await set("b", "failed")
        #expect(try await states == "a completed, b failed, c pending, d blocked")
        try await set("b", "dead_letter")
        #expect(try await states == "a completed, b dead_letter, c pending, d blocked")
        try await set("c", "completed")
        #expect(try await states == "a completed, b dead_letter, c completed, d pending")
    }

    @Test func `deleting a parent leaves nobody waiting`() async throws {
        let parent = try await database.insertJob()
        let ended = try await database.insertJob(status: .completed)
        let ids = try await database.store().add(
            [
                LinkedJob(type: "noop", after: [parent.text, ended.text]),
                LinkedJob(type: "noop", after: [parent.text], onDependencyFailure: .run),
                LinkedJob(type: "noop", after: [ended.text]),
            ], in: TestDatabase.workspace, by: nil)
        #expect(try await database.job(ids[2]).status == "pending")
        try await database.query("DELETE FROM public.jobs WHERE id = \(ended)")
        #expect(try await database.job(ids[0]).status == "blocked")
        try await database.query("DELETE FROM public.jobs WHERE id = \(parent)")
        #expect(try await database.job(ids[0]).status == "cancelled")
        #expect(try await database.job(ids[1]).status == "pending")
    }

    @Test func `parents that end in the same moment let their child go once`() async throws {
        let pairs = 100
        let jobs = (0..<pairs).flatMap { pair in
            [
                LinkedJob(name: "l\(pair)", type: "noop"), LinkedJob(name: "r\(pair)", type: "noop"),
                LinkedJob(name: "z\(pair)", type: "noop", after: ["l\(pair)", "r\(pair)"]),
            ]
        }
        _ = try await add(jobs)
        let pool = ConnectionPool(database.workerSettings, limit: 4)
        try await withThrowingTaskGroup { group in
            for side in ["l", "r"] {
                group.addTask {
                    for pair in 0..<pairs {
                        _ = try await pool.query(
                            "UPDATE public.jobs SET status = 'completed' WHERE workflow_step = \("\(side)\(pair)")")
                    }
                }
            }
            try await group.waitForAll()
        }
        await pool.close()
        try await database.store().settleBacklog()
        #expect(try await database.count("workflow_step LIKE 'z%' AND status = 'pending' AND blockers = 0") == pairs)
    }

    @Test func `who locks a child holds up no parent, and the child is found later`() async throws {
        _ = try await diamond()
        try await set("a", "completed")
        try await set("b", "completed")
        let holder = try await Connection.open(database.settings)
        try await holder.runScript("BEGIN")
        _ = try await holder.query("SELECT FROM public.jobs WHERE workflow_step = 'd' FOR UPDATE")
        try await set("c", "completed")
        #expect(try await states == "a completed, b completed, c completed, d blocked")
        try await holder.runScript("COMMIT")
        await holder.close()
        try await database.store().settleBacklog()
        #expect(try await states == "a completed, b completed, c completed, d pending")
    }

    // MARK: Changing

    @Test func `a parent that is retried takes its cancelled children along`() async throws {
        _ = try await diamond()
        try await set("a", "failed")
        let a: UUID = try #require(
            try await database.value("SELECT id FROM public.jobs WHERE workflow_step = 'a'"))
        let d: UUID = try #require(
            try await database.value("SELECT id FROM public.jobs WHERE workflow_step = 'd'"))
        await #expect(throws: JobChangeRefusal.self) {
            try await database.store().retry(d, by: Self.requester)
        }
        _ = try await database.store().retry(a, by: Self.requester)
        #expect(try await states == "a pending, b blocked, c blocked, d blocked")
    }

    @Test func `a whole workflow is cancelled, and goes on from where it failed`() async throws {
        let workflow = try await diamond()
        try await set("a", "completed")
        try await set("b", "failed")
        #expect(try await states == "a completed, b failed, c pending, d cancelled")
        #expect(try await database.store().cancelWorkflow(workflow, by: Self.requester) == 1)
        #expect(try await database.store().workflow(withID: workflow)?.state == .failed)
        #expect(try await database.store().retryWorkflow(workflow, by: Self.requester) == 3)
        #expect(try await states == "a completed, b pending, c pending, d blocked")
        #expect(try await database.store().workflow(withID: workflow)?.state == .running)
        for step in ["b", "c", "d"] { try await set(step, "completed") }
        #expect(try await database.store().workflow(withID: workflow)?.state == .completed)
        #expect(try await database.count("action LIKE 'workflow.%'", of: "public.job_audit") == 3)
    }

    @Test func `dependencies written by plain SQL count, and circles are refused`() async throws {
        let (a, b) = (try await database.insertJob(), try await database.insertJob())
        try await database.query(
            "INSERT INTO public.job_dependencies (job_id, depends_on_job_id) VALUES (\(b), \(a))")
        #expect(try await database.job(b).status == "blocked")
        #expect(
            try await TestDatabase.refusal {
                try await database.query(
                    "INSERT INTO public.job_dependencies (job_id, depends_on_job_id) VALUES (\(a), \(b))")
            } == "22023")
        try await database.query("DELETE FROM public.job_dependencies")
        #expect(try await database.job(b).status == "pending")
    }

    @Test(arguments: [#"{},"max_attempts":1"#, #"{}},{"job_type":"other","payload":{}"#, "[", ""])
    func `a payload says nothing about its job, and what isn't one JSON value adds none`(payload: String) async throws {
        let job = LinkedJob(name: "a", type: "noop", payload: JSONText(payload))
        let refusals = [
            try await TestDatabase.refusal { try await add([job]) },
            try await TestDatabase.refusal {
                try await database.store().add([job], in: TestDatabase.workspace, by: Self.requester)
            },
        ]
        #expect(refusals == ["22P02", "22P02"])
        #expect(try await database.count("true") == 0)
    }

    @Test func `the payload of a job that waits keeps every digit`() async throws {
        let payload = #"{"n": 12345678901234567890.50, "t": "\\ \" é"}"#
        _ = try await add([LinkedJob(name: "a", type: "noop", payload: JSONText(payload))])
        let stored = try await database.value("SELECT payload::text AS payload FROM public.jobs", as: String.self)
        #expect(stored == payload)
    }

    // MARK: Members

    @Test func `members add workflows to their own workspace alone, and their jobs are theirs`() async throws {
        let member = try await database.insertMember()
        let foreign = try await database.insertWorkspace()
        let jobs = try LinkedJob.list([
            LinkedJob(name: "a", type: "noop"), LinkedJob(name: "b", type: "noop", after: ["a"]),
        ])
        try await database.asUser(member) { connection in
            _ = try connection.execute("SELECT jobworker.add_workflow(\(TestDatabase.workspace), \(jobs))")
        }
        #expect(try await database.count("inserted_by = 'authenticated' AND created_by = '\(member.text)'") == 2)
        let refusal = try await TestDatabase.refusal {
            try await database.asUser(member) { connection in
                _ = try connection.execute("SELECT jobworker.add_workflow(\(foreign), \(jobs))")
            }
        }
        #expect(refusal == "P0002")
    }

    // MARK: Running

    @Test func `a graph of jobs at random runs each one once, after its parents`() async throws {
        var generator = SystemRandomNumberGenerator()
        let jobs = (0..<120).map { place in
            let parents = Set(
                (0..<Int.random(in: 0...3, using: &generator)).compactMap { _ in
                    place == 0 ? nil : "s\(Int.random(in: 0..<place, using: &generator))"
                })
            return LinkedJob(name: "s\(place)", type: "noop", after: parents.sorted())
        }
        let workflow = try await add(jobs)
        let counter = Counter<UUID>()
        let processor = ScriptedProcessor("noop") { job, _ in
            counter.add(job.id)
            return nil
        }
        try await database.withWorker(processor, change: { $0.pollInterval = .seconds(1) }) { _ in
            try await database.withWorker(processor, change: { $0.pollInterval = .seconds(1) }) { _ in
                try await eventually("the workflow has completed") {
                    try await database.store().workflow(withID: workflow)?.state == .completed
                }
            }
        }
        #expect(counter.all.count == jobs.count && counter.all.values.allSatisfy { $0 == 1 })
        let early = try await database.count(
            """
            EXISTS (SELECT FROM public.jobs AS p WHERE p.id = depends_on_job_id
                    AND p.completed_at > (SELECT started_at FROM public.jobs AS c WHERE c.id = job_id))
            """, of: "public.job_dependencies")
        #expect(early == 0)
    }

    @Test func `a payload gets its parents' results, each digit of them`() async throws {
        _ = try await add([
            LinkedJob(name: "a", type: "make"),
            LinkedJob(
                name: "b", type: "show",
                payload: JSONText(
                    #"{"one":{"$result":"a.list.1"},"all":{"$result":"*"},"as":{"$literal":{"$result":"a"}}}"#),
                after: ["a"]),
            LinkedJob(name: "c", type: "show", payload: JSONText(#"[{"$result":"a.absent"}]"#), after: ["a"]),
        ])
        let seen = Counter<String>()
        try await database.withWorker(
            ScriptedProcessor("make") { _, _ in JSONText(#"{"list":[1,12345678901234567890.5]}"#) },
            ScriptedProcessor("show") { job, _ in
                seen.add(job.payload.text)
                return nil
            }
        ) { _ in
            try await database.waitUntil("workflow_step = 'c' AND status = 'failed'")
            try await database.waitUntil("workflow_step = 'b' AND status = 'completed'")
        }
        #expect(
            seen.all.keys.map { $0 } == [
                #"{"as": {"$result": "a"}, "all": {"a": {"list": [1, 12345678901234567890.5]}}, "one": 12345678901234567890.5}"#
            ])
        #expect(
            try await database.count(
                "error_message = 'The payload asks for the result ''a.absent'', which is not there; that job is completed'"
            ) == 1)
    }

    @Test func `a running job adds jobs to its workflow, which may wait for it`() async throws {
        let workflow = try await add([LinkedJob(name: "a", type: "split")])
        try await database.withWorker(
            ScriptedProcessor("split") { job, context in
                try await context.enqueue([
                    LinkedJob(name: "b", type: "noop", after: [job.id.text]),
                    LinkedJob(name: "c", type: "noop", after: ["b"]),
                ])
                return nil
            }, ScriptedProcessor("noop")
        ) { _ in
            try await database.waitUntil("workflow_step = 'c' AND status = 'completed'")
        }
        #expect(try await database.count("workflow_id = '\(workflow.text)' AND status = 'completed'") == 3)
    }

    @Test func `long work is split into chunks with one job after them`() async throws {
        let jobs = try LinkedJob.chunks(
            of: (1...7).map { JSONText("\($0)") }, size: 3, type: "sum", finally: "total",
            payload: [("by", JSONText("1"))])
        #expect(jobs.map(\.name) == ["chunk-1", "chunk-2", "chunk-3", "all"])
        #expect(jobs[2].payload.text == #"{"by":1,"items":[7],"chunk":3,"chunks":3}"#)
        _ = try await add(jobs)
        #expect(try await database.count("workflow_step = 'all' AND status = 'blocked' AND blockers = 3") == 1)
    }
}
