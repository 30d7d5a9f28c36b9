import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// The folder WORKER_HANDLERS, as a daemon reads it.
@Suite(.database(), .timeLimit(.minutes(3))) struct HandlerTests {
    let database = TestDatabase.current

    private func folder() throws -> String {
        let folder = "/tmp/jobworker-handlers-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        return folder
    }

    private func write(_ text: String, to path: String) throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    private func add(_ type: String, insertedBy: String? = nil) async throws -> UUID {
        let id = UUID()
        try await database.run(
            """
            INSERT INTO public.jobs (id, workspace_id, job_type, payload) VALUES ('\(id)', '\(TestDatabase.workspace.text)', '\(type)', '{}')
            """)
        return id
    }

    private func value(_ column: String, _ id: UUID) async throws -> String? {
        try await database.value(
            "SELECT \(sql: column)::text FROM public.jobs WHERE id::text = \(id.uuidString.lowercased())")
    }

    @Test func `a file makes a job type, and a reload changes it, without a word about running jobs`() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try write(
            "job_type: greet\nexec: [sh, -c, \"cat >/dev/null; echo '{\\\"by\\\": \\\"first\\\"}'\"]\n",
            to: "\(folder)/greet.yaml")
        try write(
            "job_type: slow\nexec: [sh, -c, \"cat >/dev/null; echo begun >&2; while [ ! -e \(folder)/go ]; do sleep 0.05; done; echo 1\"]\n",
            to: "\(folder)/slow.yaml")
        try write("job_type: broken\nexec: nothing\n", to: "\(folder)/broken.yaml")
        let daemon = try await RunningDaemon.start(
            database, environment: ["WORKER_HANDLERS": folder, "DAEMON_CANARY": "never-to-be-seen"])
        #expect(daemon.log.contains("\(folder)/broken.yaml:2: exec must be a list"))
        let first = try await add("greet")
        let slow = try await add("slow")
        try await database.waitUntil("id = '\(first)' AND status = 'completed'", of: "public.jobs")
        #expect(try await value("result->>'by'", first) == "first")
        try await database.waitUntil("job_id = '\(slow)' AND message = 'begun'", of: "public.job_logs")

        // Changed, broken, gone, and new.
        try write(
            "job_type: greet\nexec: [sh, -c, \"cat /proc/self/environ | tr '\\\\0' ' '\"]\n", to: "\(folder)/greet.yaml"
        )
        try FileManager.default.removeItem(atPath: "\(folder)/slow.yaml")
        try write("job_type: fresh\nexec: [sh, -c, \"exit 65\"]\n", to: "\(folder)/fresh.yaml")
        try await daemon.signal(SIGHUP)
        try await daemon.logs("fresh, greet")
        let second = try await add("greet")
        let fresh = try await add("fresh")
        try await database.waitUntil("id = '\(second)' AND status = 'completed'", of: "public.jobs")
        let environment = try #require(try await value("result->>'output'", second))
        #expect(environment.contains("JOB_ID=\(second.uuidString.lowercased())"))
        #expect(!environment.contains("never-to-be-seen") && !environment.contains("DATABASE_URL"))
        try await database.waitUntil("id = '\(fresh)' AND status = 'failed' AND attempts = 1", of: "public.jobs")
        // The program of the file that has gone goes on, and its job is completed.
        try write("", to: "\(folder)/go")
        try await database.waitUntil("id = '\(slow)' AND status = 'completed'", of: "public.jobs")

        // A file that breaks leaves in force what it said.
        try write("job_type: greet\nexec: {}\n", to: "\(folder)/greet.yaml")
        try await daemon.signal(SIGHUP)
        try await daemon.logs("\(folder)/greet.yaml:2: exec must be a list")
        let third = try await add("greet")
        try await database.waitUntil("id = '\(third)' AND status = 'completed'", of: "public.jobs")
        await daemon.stop()
    }

    @Test func `members can't start programs that are for operators`() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try write("job_type: inner\nexec: [echo, \"1\"]\n", to: "\(folder)/a.yaml")
        try write("job_type: open\nallow: members\nexec: [echo, \"1\"]\n", to: "\(folder)/b.yaml")
        let daemon = try await RunningDaemon.start(database, environment: ["WORKER_HANDLERS": folder])
        var ids: [String: UUID] = [:]
        for type in ["inner", "open"] { ids[type] = try await add(type) }
        let own = try #require(ids["inner"])
        try await database.waitUntil("id = '\(own)' AND status = 'completed'", of: "public.jobs")
        // As the trigger has it for a member.
        let inner = UUID()
        let open = UUID()
        try await database.run(
            """
            ALTER TABLE public.jobs DISABLE TRIGGER USER;
            INSERT INTO public.jobs (id, workspace_id, job_type, payload, status, inserted_by) VALUES
                ('\(inner)', '\(TestDatabase.workspace.text)', 'inner', '{}', 'pending', 'authenticated'),
                ('\(open)', '\(TestDatabase.workspace.text)', 'open', '{}', 'pending', 'authenticated');
            ALTER TABLE public.jobs ENABLE TRIGGER USER;
            """)
        _ = try await add("open")
        try await database.waitUntil("id = '\(open)' AND status = 'completed'", of: "public.jobs")
        try await database.waitUntil("id = '\(inner)' AND status = 'failed'", of: "public.jobs")
        #expect(try await value("error_message", inner)?.contains("for operators only") == true)
        #expect(
            try await database.count("operator_types = '{inner}'", of: "public.job_workers") == 1)
        await daemon.stop()
    }

    @Test func `no more of a type run at once than its file says, and others aren't held up`() async throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        // Each takes a place of its own, and says how many it saw taken.
        try write(
            """
            job_type: few
            max_concurrent: 2
            exec: [sh, -c, "mkdir \(folder)/$JOB_ID.d; ls -d \(folder)/*.d | wc -l; sleep 0.2; rmdir \(folder)/$JOB_ID.d"]
            """, to: "\(folder)/few.yaml")
        let daemon = try await RunningDaemon.start(
            database, environment: ["WORKER_HANDLERS": folder, "WORKER_MAX_CONCURRENT": "8"])
        try await database.run(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload)
            SELECT '\(TestDatabase.workspace.text)', CASE WHEN i % 2 = 0 THEN 'few' ELSE 'noop' END, '{}'
            FROM generate_series(1, 24) AS i
            """)
        let began = ContinuousClock.now
        while try await database.count("status = 'completed'", of: "public.jobs") < 24 {
            guard ContinuousClock.now - began < .seconds(60) else { break }
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(try await database.count("status = 'completed'", of: "public.jobs") == 24)
        #expect(try await database.count("job_type = 'few' AND result::text::int > 2", of: "public.jobs") == 0)
        await daemon.stop()
    }
}
