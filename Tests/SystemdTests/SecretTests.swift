import Testing

extension UnderSystemd {
    @Suite struct SecretTests {
        private static let token = "a-token-of-the-tests-with-32-bytes"

        @Test func `secrets in the credential store reach the worker, and nobody else`() async throws {
            let machine = try await WorkerMachine.prepared()
            try await machine.sandbox.bash(
                "install -m 0600 /dev/stdin /etc/credstore/jobworker.worker_secret_token <<<'\(Self.token)'")
            try await machine.start()
            let poll = "-X POST -H 'Authorization: Bearer \(Self.token)'"
            #expect(try await machine.ask("/api/jobs/worker", poll).status == "200")
            #expect(try await machine.ask("/api/jobs/worker", "-X POST").status == "401")
            let process = try await machine.sandbox.property("MainPID", of: "jobworker")
            #expect(
                try await machine.sandbox.bash("tr '\\0' '\\n' </proc/\(process)/environ | grep -c TOKEN || true")
                    == "0")
            let reading = await machine.sandbox.run([
                "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "ls",
                "/run/credentials/jobworker.service",
            ])
            #expect(reading.status != 0)
        }

        @Test func `encrypted secrets reach the worker`() async throws {
            let machine = try await WorkerMachine.prepared()
            try await machine.sandbox.bash(
                """
                cd /etc/credstore.encrypted
                systemd-creds encrypt --name=database_url /etc/credstore/jobworker.database_url jobworker.database_url
                rm /etc/credstore/jobworker.database_url
                systemd-creds encrypt --name=worker_secret_token - jobworker.worker_secret_token <<<'\(Self.token)'
                ! grep -r postgresql .
                """)
            try await machine.edit(
                "jobworker.service",
                """
                [Service]
                LoadCredentialEncrypted=database_url:/etc/credstore.encrypted/jobworker.database_url
                LoadCredentialEncrypted=worker_secret_token:/etc/credstore.encrypted/jobworker.worker_secret_token
                """)
            try await machine.start()
            let poll = "-X POST -H 'Authorization: Bearer \(Self.token)'"
            #expect(try await machine.ask("/api/jobs/worker", poll).status == "200")
        }
    }
}
