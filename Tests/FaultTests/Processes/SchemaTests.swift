import Development
import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// Workers and migrations that meet.
extension ProcessFaults {
    @Suite struct SchemaTests {
        private var database: TestDatabase { .current }

        private var owner: [String: String] { ["DATABASE_URL": database.settings.connectionString] }

        @Test(.database(.nothing)) func `ten processes that migrate an empty database at once apply each step once`()
            async throws
        {
            let environment = owner
            let results = await withTaskGroup(of: (status: Int32, output: String).self) { group in
                for _ in 0..<10 {
                    group.addTask {
                        await runProgram([BuiltProgram.path("jobworker"), "migrate"], environment: environment)
                    }
                }
                var results: [(status: Int32, output: String)] = []
                for await result in group { results.append(result) }
                return results
            }
            for result in results { #expect(result.status == 0, "\(result.output)") }
            #expect(results.count { !$0.output.contains("Nothing to do") } == 1)
            #expect(try await Migrator(settings: database.settings).status().allSatisfy { $0.state == .applied })
        }

        @Test(.database(.nothing)) func `workers that migrate at their start do so once, and then work`() async throws {
            let environment = owner
            let workers = try (1...3).map { number in
                try RunningDaemon(
                    database: database.server.connectionString(database: database.name),
                    environment: environment.merging(["WORKER_INSTANCE": "migrates-\(number)"]) { $1 },
                    arguments: ["--migrate"])
            }
            for worker in workers { try await worker.waitUntilReady() }
            #expect(try await Migrator(settings: database.settings).status().allSatisfy { $0.state == .applied })
            for worker in workers { await worker.stop() }
        }

        @Test(.database(.nothing)) func `a stop in the midst of a migration leaves no half of it`() async throws {
            for _ in 0..<8 {
                let worker = try RunningDaemon(
                    database: database.server.connectionString(database: database.name), arguments: ["--migrate"])
                try await Task.sleep(for: .milliseconds(Int.random(in: 0..<400)))
                try await worker.signal([SIGTERM, SIGKILL].randomElement()!)
                let status = await worker.ended() ?? -1
                #expect([0, 128 + SIGTERM, 128 + SIGKILL].contains(status), "\(worker.log)")
            }
            let (status, output) = await runProgram([BuiltProgram.path("jobworker"), "migrate"], environment: owner)
            #expect(status == 0, "\(output)")
            let checked = await runProgram(
                [BuiltProgram.path("jobworker"), "migrate", "--status", "--json"], environment: owner)
            #expect(!checked.output.contains("pending") && !checked.output.contains("changed"))
        }

        @Test(.database()) func `a newer schema ends the worker with status 78 and a sentence`() async throws {
            try await database.run(
                "INSERT INTO public.jobworker_migrations (version, name, checksum) VALUES (999, 'later', 'x')")
            let worker = try RunningDaemon.quick(database)
            #expect(await worker.ended() == 78)
            #expect(
                worker.lastLogLine.contains("the database's schema is newer than this program (migration 999)"),
                "\(worker.lastLogLine)")
        }

        @Test(.database(.nothing)) func `a worker before its schema waits, and works after the migration`() async throws
        {
            let worker = try RunningDaemon(
                database: database.server.connectionString(database: database.name),
                environment: ["WORKER_POLL_INTERVAL_MS": "100"])
            try await worker.logs("run 'jobworker migrate'")
            #expect(try await worker.request("GET", "/readyz").status == 503)
            let (status, output) = await runProgram([BuiltProgram.path("jobworker"), "migrate"], environment: owner)
            #expect(status == 0, "\(output)")
            try await worker.waitUntilReady()
            try await database.query(
                "INSERT INTO public.workspaces (id, name, slug) VALUES (\(TestDatabase.workspace), 'Test', 'test')")
            try await database.insertJob("noop")
            try await database.waitUntil("status = 'completed'")
            await worker.stop()
        }
    }
}
