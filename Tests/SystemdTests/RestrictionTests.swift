import FoundationEssentials
import Support
import Testing

extension UnderSystemd {
    /// What the daemon does on the network and with its secrets, under all restrictions of its unit.
    @Suite struct RestrictionTests {
        private static let token = "a-token-of-the-tests-with-32-bytes"

        @Test func `the restricted service enriches, serves over TCP and sends figures`() async throws {
            let machine = try await WorkerMachine.prepared([
                "APOLLO_BASE_URL": "http://127.0.0.1:8090", "WORKER_HTTP_LISTEN": "127.0.0.1:8091",
                "WORKER_STATSD": "127.0.0.1:8125",
            ])
            let (sandbox, database) = (machine.sandbox, machine.database)
            try await sandbox.copy(BuiltProgram.path("apollo-standin"), to: "/usr/local/bin/apollo-standin")
            try await sandbox.bash(
                """
                systemd-run --quiet --unit=standin /usr/local/bin/apollo-standin --port 8090
                cat >/tmp/receive <<'PYTHON'
                import socket
                receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                receiver.bind(("127.0.0.1", 8125))
                with open("/tmp/figures", "ab", 0) as figures:
                    while True:
                        figures.write(receiver.recv(65535) + b"\\n")
                PYTHON
                systemd-run --quiet --unit=figures /usr/bin/python3 /tmp/receive
                umask 077
                jobworker keys generate >/etc/credstore/jobworker.worker_encryption_keys
                echo '\(Self.token)' >/etc/credstore/jobworker.worker_secret_token
                export DATABASE_URL='host=/run/postgresql dbname=app user=worker'
                export WORKER_ENCRYPTION_KEYS=$(cat /etc/credstore/jobworker.worker_encryption_keys)
                jobworker keys set-apollo --workspace \(SandboxDatabase.workspace) <<<'good-key-of-the-test'
                """)
            try await machine.start()
            let account: String? = try await database.value(
                """
                INSERT INTO public.accounts (workspace_id, name, domain)
                VALUES ('\(SandboxDatabase.workspace)', 'Nordlicht', 'nordlicht.example.com') RETURNING id::text
                """)
            let id = try #require(account)
            let job = try await database.insertJob("enrich_account", payload: "{\"account_id\": \"\(id)\"}")
            try await database.waitUntil(1, "id = '\(job)' AND status = 'completed'")
            #expect(
                try await database.count(
                    "id = '\(id)' AND industry IS NOT NULL AND employee_count > 0", of: "public.accounts") == 1)
            let figures = try await sandbox.bash(
                "curl -sS --max-time 30 -H 'Authorization: Bearer \(Self.token)' http://127.0.0.1:8091/metrics")
            #expect(figures.contains(#"jobworker_apollo_requests_total{status="200"} 1"#))
            try await eventually("figures arrive at the DogStatsD server") {
                try await sandbox.bash("cat /tmp/figures").contains("jobworker.jobs:1|c|")
            }
            try await machine.stop()
            #expect(try await sandbox.property("Result", of: "jobworker") == "success")
        }

        /// As the unit's user, who is nobody special: the servers that the tests start are then under the same restrictions.
        @Test func `the whole end-to-end suite passes under the restrictions of the unit`() async throws {
            let project = Sandbox.project
            if ["root", "home"].contains(project.split(separator: "/").first) {
                try Test.cancel("the sources lie where the unit can't look: \(project)")
            }
            let sandbox = try #require(Sandbox.current)
            for library in try await BuiltPackage.hiddenLibraries() {
                try await sandbox.copy(library, to: "/usr/local/lib/")
            }
            try await sandbox.bash("ldconfig; useradd --system jobworker")
            let unit = try String(contentsOfFile: project + "/systemd/jobworker.service", encoding: .utf8)
            let lines = unit.split(separator: "\n").filter { !$0.hasPrefix("#") }
            let first = try #require(lines.firstIndex { $0.hasPrefix("UMask=") })
            let last = try #require(lines.firstIndex { $0.hasPrefix("SystemCallErrorNumber=") })
            let restrictions = lines[first...last].flatMap { ["-p", String($0)] }
            #expect(restrictions.count > 50)
            let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            let (status, output) = await sandbox.run(
                [
                    "systemd-run", "--quiet", "--wait", "--pipe", "--collect", "-p", "User=jobworker", "-p",
                    "WorkingDirectory=\(project)", "-p", "BindReadOnlyPaths=\(project)",
                ] + restrictions + [
                    program, "--filter", #"^EndToEndTests\."#, "--testing-library", "swift-testing",
                    // Its endpoint is the application's, which isn't under these restrictions; node writes code as it runs.
                    "--skip", #"^EndToEndTests\.EndpointTests"#,
                ])
            let wrong = output.split(separator: "\n").filter { $0.hasPrefix("✘") }.joined(separator: "\n")
            #expect(status == 0, "\(wrong)")
            #expect(output.contains(/✔ Test run with \d{2,} tests/), "\(output.suffix(1000))")
        }
    }
}
