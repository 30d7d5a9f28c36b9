import Support
import Testing

extension UnderSystemd {
    @Suite struct DatabaseOutageTests {
        @Test func `started without its database, the unit waits beyond its limit, says why, and goes on by itself`()
            async throws
        {
            let machine = try await WorkerMachine.prepared()
            let sandbox = machine.sandbox
            try await machine.edit("jobworker.service", "[Service]\nTimeoutStartSec=2s")
            try await machine.postgres("stop")
            try await sandbox.bash("systemctl start --no-block jobworker")
            try await eventually("the status tells of the database") {
                try await sandbox.property("StatusText", of: "jobworker").hasPrefix("Waiting for the database")
            }
            #expect(try await machine.ask("/healthz").status == "200")
            #expect(try await machine.ask("/readyz").status == "503")
            // Twice the limit, by the clock that systemd measures it with.
            let began = try await sandbox.property("ExecMainStartTimestampMonotonic", of: "jobworker")
            try await eventually("twice the limit has passed") {
                #expect(try await sandbox.property("ActiveState", of: "jobworker") == "activating")
                let now = try await sandbox.bash("cut -d ' ' -f 1 /proc/uptime")
                return ((Double(now) ?? 0) * 1e6 - (Double(began) ?? 0)) > 4e6
            }
            try await machine.postgres("start")
            try await eventually("it becomes active") {
                try await sandbox.property("ActiveState", of: "jobworker") == "active"
            }
            #expect(try await sandbox.property("NRestarts", of: "jobworker") == "0")
            let database = SandboxDatabase(sandbox)
            try await database.insertJobs(1)
            try await database.waitUntil(1, "status = 'completed'")
        }

        @Test func `stopped while the database is away, it ends within its time and loses nothing`() async throws {
            let machine = try await WorkerMachine.prepared(["WORKER_SHUTDOWN_TIMEOUT_SECONDS": "1"])
            let (sandbox, database) = (machine.sandbox, machine.database)
            try await machine.start()
            try await database.insertJobs(5, "sleep", payload: "{\"seconds\": 600}")
            try await database.waitUntil(5, "status = 'processing'")
            await database.close()
            try await machine.postgres("stop")
            try await sandbox.bash("timeout 120 systemctl stop jobworker")
            #expect(try await sandbox.property("ActiveState", of: "jobworker") != "active")
            try await machine.postgres("start")
            let again = SandboxDatabase(sandbox)
            try await machine.start()
            // What couldn't be given back is taken back by the successor.
            try await again.waitUntil(5, "status = 'pending' OR status = 'processing' AND attempts <= 2")
            #expect(try await again.count("status IN ('pending', 'processing')") == 5)
        }
    }
}
