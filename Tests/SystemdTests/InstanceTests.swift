import Support
import Testing

extension UnderSystemd {
    @Suite struct InstanceTests {
        @Test func `four instances share a queue, and stopping two of them loses and repeats nothing`() async throws {
            let machine = try await WorkerMachine.prepared(["WORKER_MAX_CONCURRENT": "5"])
            let (sandbox, database) = (machine.sandbox, machine.database)
            try await sandbox.bash("systemctl start jobworker@{1..4}")
            try await database.insertJobs(600, "sleep", payload: "{\"seconds\": 0.1}")
            // All four work.
            try await eventually("four workers have jobs") {
                try await database.value(
                    "SELECT count(DISTINCT worker_id) FROM public.jobs WHERE status = 'processing'") == 4
            }
            try await sandbox.bash("systemctl stop jobworker@2 jobworker@3")
            #expect(await sandbox.run(["systemctl", "is-active", "jobworker@2"]).output == "inactive\n")
            // They left nothing behind for the others to find.
            let others = try await database.count(
                "status = 'processing' AND worker_id NOT IN (SELECT id FROM public.job_workers)")
            #expect(others == 0)
            try await database.waitUntil(600, "status = 'completed'")
            #expect(try await database.count("attempts <> 1 OR worker_deaths <> 0 OR lease_open") == 0)
            #expect(try await database.count("message LIKE 'Completed in %'", of: "public.job_logs") == 600)
            #expect(try await database.jobsCompletedTwice() == 0)
            let health = await sandbox.run(["jobworker", "health", "--all"])
            #expect(health.output.contains("healthy"), "\(health.output)")
            // The target reaches all that are left.
            try await machine.stop("jobworker.target")
            for instance in [1, 4] {
                #expect(await sandbox.run(["systemctl", "is-active", "jobworker@\(instance)"]).output == "inactive\n")
            }
        }
    }
}
