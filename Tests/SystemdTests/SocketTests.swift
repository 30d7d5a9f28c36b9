import Support
import Testing

extension UnderSystemd {
    @Suite struct SocketTests {
        @Test func `no request to the socket is refused while the worker restarts`() async throws {
            let machine = try await WorkerMachine.prepared()
            let sandbox = machine.sandbox
            try await sandbox.bash("systemctl enable --now jobworker.socket jobworker.service")
            // Each request on a connection of its own, one after the other; not for ever, should the test end early.
            try sandbox.write("", to: "/tmp/asked")
            async let asking = sandbox.bash(
                """
                until [ -e /tmp/enough ] || ((SECONDS > 120)); do
                    curl -sS -o /dev/null -w '%{http_code}\\n' --max-time 60 --unix-socket /run/jobworker/worker.sock \\
                        http://worker/healthz 2>&1 || true
                    echo >>/tmp/asked
                done | sort | uniq -c
                """)
            let asked = { try await Int(sandbox.bash("wc -l </tmp/asked")) ?? 0 }
            for unit in ["jobworker", "jobworker.target", "jobworker", "jobworker.target"] {
                let before = try await asked()
                try await eventually("somebody asks") { try await asked() > before + 5 }
                try await sandbox.bash("systemctl restart \(unit)")
            }
            let before = try await asked()
            try await eventually("somebody asks") { try await asked() > before + 5 }
            try sandbox.write("", to: "/tmp/enough")
            // How many got which answer.
            let answers = try await asking
            let words = answers.split { $0 == " " || $0 == "\n" }
            #expect(words.count == 2 && words.last == "200", "\(answers)")
            machine.figure("requests over four restarts\(answers)")
            // Stopping the target is meant for the socket as well.
            try await machine.stop("jobworker.target")
            #expect(
                await sandbox.run(["systemctl", "is-active", "jobworker.socket", "jobworker"]).output
                    == "inactive\ninactive\n")
        }

        @Test func `a connection starts a worker that isn't running`() async throws {
            let machine = try await WorkerMachine.prepared()
            try await machine.start("jobworker.socket")
            #expect(await machine.sandbox.run(["systemctl", "is-active", "jobworker"]).output == "inactive\n")
            #expect(try await machine.ask("/healthz").status == "200")
            try await eventually("it is active") {
                try await machine.sandbox.property("ActiveState", of: "jobworker") == "active"
            }
            let mode = try await machine.sandbox.bash("stat -c '%a %U %G' /run/jobworker/worker.sock /run/jobworker")
            #expect(mode == "660 jobworker jobworker\n755 jobworker jobworker")
        }
    }
}
