import Testing

extension UnderSystemd {
    /// The units as systemd reads them.
    @Suite struct UnitFileTests {
        @Test func `systemd has no complaint about the units, and finds little exposed`() async throws {
            let machine = try await WorkerMachine.prepared(isMigrated: false)
            let units = "jobworker.service jobworker@1.service jobworker-migrate.service"
            let verdict = await machine.sandbox.run([
                "bash", "-c",
                "systemd-analyze verify --man=no \(units) jobworker.socket jobworker@1.socket jobworker.target 2>&1",
            ])
            #expect(verdict.status == 0)
            #expect(verdict.output == "")
            for unit in units.split(separator: " ") {
                let report = try await machine.sandbox.bash("systemd-analyze security --no-pager \(unit) | tail -n 1")
                let exposure = report.split(separator: " ").compactMap { Double($0) }.first
                #expect(try #require(exposure) <= 1.2, "\(report)")
                machine.figure("exposure of \(unit) \(exposure ?? .nan)")
            }
        }

        @Test func `memory, tasks and core dumps are bounded`() async throws {
            let machine = try await WorkerMachine.prepared(isMigrated: false)
            for unit in ["jobworker.service", "jobworker@1.service"] {
                #expect(try await machine.sandbox.property("MemoryMax", of: unit) == "1073741824")
                #expect(try await machine.sandbox.property("MemoryHigh", of: unit) == "805306368")
                #expect(try await machine.sandbox.property("TasksMax", of: unit) == "512")
                #expect(try await machine.sandbox.property("LimitCORE", of: unit) == "0")
                #expect(try await machine.sandbox.property("Type", of: unit) == "notify")
            }
        }
    }
}
