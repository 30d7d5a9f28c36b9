import Development
import FoundationEssentials
import Glibc
import Postgres
import Support
import Testing

@Suite struct PrivatePostgresTests {
    private func options(_ change: (inout PrivatePostgres.Options) -> Void = { _ in }) -> PrivatePostgres.Options {
        var options = PrivatePostgres.Options()
        options.isDurable = false
        options.isTemporary = true
        change(&options)
        return options
    }

    private func newDirectory() -> String {
        "/tmp/jobworker-private-\(getpid())-\(String(UInt64.random(in: .min ... .max), radix: 36))"
    }

    private func open(_ string: String?) async throws -> Connection {
        try await Connection.open(ConnectionSettings(connectionString: try #require(string), applicationName: "test"))
    }

    @Test func `a restart keeps the data and the address, a stop leaves nothing behind`() async throws {
        let directory = newDirectory()
        let server = try await PrivatePostgres.start(in: directory, options: options())
        let before = try await open(server.connectionString())
        try await before.runScript("CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)")
        await before.close()

        try await server.restart(.immediate)
        let after = try await open(server.connectionString())
        #expect(try await after.query("SELECT n FROM kept").first?.decode("n") == 42)
        await after.close()

        await server.stop()
        #expect(!FileManager.default.fileExists(atPath: directory))
        #expect(!FileManager.default.fileExists(atPath: server.socketDirectory))
    }

    @Test func `TCP asks for a password, and the server's text is UTF-8 in the C locale`() async throws {
        let server = try await PrivatePostgres.start(
            in: newDirectory(),
            options: options {
                $0.listensOnTCP = true; $0.settings["work_mem"] = "7MB"
            })
        let connection = try await open(server.tcpConnectionString())
        let row = try #require(
            try await connection.query(
                """
                SELECT inet_server_addr()::text AS address, current_setting('work_mem') AS work_mem,
                       pg_encoding_to_char(encoding)::text AS encoding, datcollate::text AS locale
                FROM pg_database WHERE datname = current_database()
                """
            ).first)
        #expect(row.texts.map(\.text) == ["127.0.0.1/32", "7MB", "UTF8", "C.UTF-8"])
        await connection.close()

        let port = try #require(server.tcpPort)
        await #expect(throws: PostgresError.self) {
            _ = try await open("postgresql://postgres:wrong@127.0.0.1:\(port)/postgres")
        }
        await server.stop()
    }

    @Test func `what the server says stands in the error when it doesn't start`() async throws {
        let error = await #expect(throws: DevelopmentError.self) {
            try await PrivatePostgres.start(
                in: newDirectory(), options: options { $0.settings["no_such_setting"] = "1" })
        }
        #expect(error?.description.contains("no_such_setting") == true)
    }
}
