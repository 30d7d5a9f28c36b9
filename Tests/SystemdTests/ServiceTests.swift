import Support
import Testing

extension UnderSystemd {
    /// The life of the service: installed, enabled, started, busy, stopped.
    @Suite struct ServiceTests {
        @Test func `the installed package runs a thousand jobs, and a stop leaves none of them processing`()
            async throws
        {
            let machine = try await WorkerMachine.prepared(["WORKER_MAX_CONCURRENT": "4"])
            let sandbox = machine.sandbox
            // Installing starts nothing.
            #expect(await sandbox.run(["systemctl", "is-enabled", "jobworker.service"]).output == "disabled\n")
            #expect(await sandbox.run(["systemctl", "is-active", "jobworker.service"]).output == "inactive\n")
            try await sandbox.bash("systemctl enable --now jobworker")
            // The start returned, so it is ready.
            #expect(try await machine.ask("/readyz").status == "200")
            let health = await sandbox.run(["jobworker", "health", "--strict"])
            #expect(health.status == 0, "\(health.output)")

            let database = machine.database
            try await database.insertJobs(1000)
            try await database.waitUntil(1, "status = 'completed'")
            try await machine.stop()
            #expect(try await sandbox.property("Result", of: "jobworker") == "success")
            #expect(try await database.count("status = 'processing' OR lease_open") == 0)
            #expect(try await database.count("status = 'completed' AND attempts = 1") > 0)
            #expect(
                try await database.count(
                    "status = 'completed' AND attempts = 1 OR status = 'pending' AND attempts = 0") == 1000)
            try await machine.start()
            try await database.waitUntil(1000, "status = 'completed' AND attempts = 1")
            #expect(try await database.jobsCompletedTwice() == 0)
            // Nothing of what surrounds the program complained on its standard error.
            #expect(try await !sandbox.journal().contains("thread priority"))
        }

        @Test func `an idle worker stops and starts again`() async throws {
            let machine = try await WorkerMachine.prepared()
            try await machine.start()
            let first = try await machine.sandbox.property("MainPID", of: "jobworker")
            let clock = ContinuousClock()
            let stopping = try await clock.measure { try await machine.stop() }
            #expect(try await machine.sandbox.property("Result", of: "jobworker") == "success")
            let starting = try await clock.measure { try await machine.start() }
            #expect(try await machine.sandbox.property("MainPID", of: "jobworker") != first)
            #expect(try await machine.ask("/readyz").status == "200")
            machine.figure("stop of an idle worker \(stopping), start until ready \(starting)")
        }

        @Test func `a drain may take longer than the unit's limit for a stop`() async throws {
            let machine = try await WorkerMachine.prepared()
            try await machine.edit("jobworker.service", "[Service]\nTimeoutStopSec=2s")
            try await machine.start()
            try await machine.database.insertJobs(1, "sleep", payload: "{\"seconds\": 6}")
            try await machine.database.waitUntil(1, "status = 'processing'")
            try await machine.stop()
            #expect(try await machine.sandbox.property("Result", of: "jobworker") == "success")
            #expect(try await machine.database.count("status = 'completed' AND attempts = 1") == 1)
        }

        @Test func `doctor tells what systemd says of the unit`() async throws {
            let machine = try await WorkerMachine.prepared()
            func doctor() async -> String { await machine.sandbox.run(["jobworker", "doctor"]).output }
            try await machine.start()
            #expect(await doctor().contains("jobworker.service runs, but won't after the next boot"))
            try await machine.sandbox.bash("systemctl enable jobworker")
            #expect(await doctor().contains("jobworker.service: active"))
            try await machine.edit("jobworker.service", "[Service]\nEnvironment=WORKER_MAX_CONCURRENT=0")
            _ = await machine.sandbox.run(["systemctl", "restart", "jobworker"])
            #expect(await doctor().contains("jobworker.service has failed (exit-code)"))
        }

        @Test func `a restart amid five hundred jobs loses none, and repeats only what was given back`() async throws {
            let machine = try await WorkerMachine.prepared([
                "WORKER_MAX_CONCURRENT": "20", "WORKER_SHUTDOWN_TIMEOUT_SECONDS": "1",
            ])
            let database = machine.database
            try await machine.start()
            // Some end within the time for that, others are given back.
            try await database.insertJobs(480, "sleep", payload: "{\"seconds\": 0.05}")
            try await database.insertJobs(20, "sleep", payload: "{\"seconds\": 4}")
            try await database.waitUntil(5, "status = 'processing' AND payload->>'seconds' = '4'")
            try await machine.sandbox.bash("systemctl restart jobworker")
            try await database.waitUntil(500, "status = 'completed'")
            #expect(try await database.count("attempts <> 1 OR worker_deaths <> 0 OR lease_open") == 0)
            #expect(try await database.jobsCompletedTwice() == 0)
            let givenBack = try await database.count("message LIKE '%iven back%'", of: "public.job_logs")
            #expect(givenBack > 0)
            #expect(try await database.count("message LIKE 'Completed in %'", of: "public.job_logs") == 500)
        }
    }
}
