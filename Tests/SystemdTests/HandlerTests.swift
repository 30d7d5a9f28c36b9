import Support
import Testing

extension UnderSystemd {
    /// Programs that jobs start, inside the unit.
    @Suite struct HandlerTests {
        private static let folder = "/etc/jobworker/handlers.d"

        /// A machine whose worker serves `where`, which tells where it runs and leaves somebody behind without a trace, while
        /// an older program of the type `older` runs.
        private func prepared(_ lines: String) async throws -> WorkerMachine {
            let machine = try await WorkerMachine.prepared()
            try machine.sandbox.write(
                """
                - job_type: where
                  exec: [sh, -c, "env -i setsid -f setsid -f sleep 4321.25 </dev/null >/dev/null 2>&1 3>&-; cat /proc/self/cgroup | tail -n 1"]
                - job_type: older
                  exec: [sleep, "60"]
                - job_type: restricted
                  exec: [sh, -c, "grep -E '^(NoNewPrivs|Seccomp|CapBnd):' /proc/self/status | tr '\\\\t\\\\n' '  '; touch /usr/x /etc/x 2>/dev/null && exit 1; touch /tmp/x"]

                """, to: "\(Self.folder)/test.yaml")
            try await machine.edit("jobworker.service", lines)
            try await machine.start()
            return machine
        }

        @Test func `programs run under the restrictions of the unit`() async throws {
            let machine = try await prepared("")
            let job = try await machine.database.insertJob("restricted")
            try await machine.database.waitUntil(1, "id = '\(job)' AND status IN ('completed', 'failed', 'pending')")
            try await machine.database.waitUntil(1, "id = '\(job)' AND attempts = 1 AND NOT lease_open")
            let output: String? = try await machine.database.value(
                "SELECT concat(result ->> 'output', error_message) FROM public.jobs WHERE id = '\(job)'")
            #expect(output == "CapBnd: 0000000000000000 NoNewPrivs: 1 Seccomp: 2 ")
            let place = try await machine.database.insertJob("where")
            try await machine.database.waitUntil(1, "id = '\(place)' AND status = 'completed'")
            let group: String? = try await machine.database.value(
                "SELECT result ->> 'output' FROM public.jobs WHERE id = '\(place)'")
            #expect(group?.hasSuffix("/jobworker.service") == true, "\(group ?? "none")")
            try await eventually("nothing is left behind") { try await sleepers(machine) == 0 }
        }

        @Test
        func `where the unit delegates its control group each program has one of its own, and all of it ends with it`()
            async throws
        {
            let machine = try await prepared("[Service]\nDelegate=yes\nProtectControlGroups=no")
            let older = try await machine.database.insertJob("older")
            try await machine.database.waitUntil(1, "id = '\(older)' AND status = 'processing'")
            let job = try await machine.database.insertJob("where")
            try await machine.database.waitUntil(1, "id = '\(job)' AND status = 'completed'")
            // At once, although an older program still runs.
            #expect(try await sleepers(machine) == 0)
            let group: String? = try await machine.database.value(
                "SELECT result ->> 'output' FROM public.jobs WHERE id = '\(job)'")
            #expect(group?.contains(/\/jobworker\.service\/job-\d+$/) == true, "\(group ?? "none")")
            let groups = try await machine.sandbox.bash(
                "ls -d /sys/fs/cgroup$(systemctl show --value -p ControlGroup jobworker)/job-* | wc -l")
            #expect(groups == "1")
            try await machine.stop()
            #expect(try await machine.sandbox.property("Result", of: "jobworker") == "success")
        }

        private func sleepers(_ machine: WorkerMachine) async throws -> Int {
            Int(try await machine.sandbox.bash("pgrep -c -f '^sleep 4321.25' || true")) ?? -1
        }
    }
}
