import Development
import FoundationEssentials
import Glibc
import Support
import Testing

/// What a newcomer sees first: the demonstration, and what it leaves in the database.
@Suite struct DemoTests {
    @Test func `the demonstration ends with every job in its right state, read by psql`() async throws {
        let directory = "/tmp/jobworker-demo-\(getpid())"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let (status, output) = await runProgram([
            BuiltProgram.path("jobworker"), "dev", "--demo", "--keep", directory,
        ])
        #expect(status == 0, "\(output)")
        #expect(output.contains("All 14 jobs ended as they should."))
        #expect(output.contains("\"status\":\"healthy\""))

        let server = try await PrivatePostgres.start(in: directory + "/postgres")
        let (psqlStatus, table) = await runProgram([
            "psql", "-qtAX", "-d", server.connectionString(database: "jobworker"), "-c",
            """
            SELECT coalesce(accounts.name, contacts.full_name), jobs.status, attempts, result ->> 'credits_used',
                   left(error_message, 30)
            FROM jobs LEFT JOIN accounts ON accounts.id = (payload ->> 'account_id')::uuid
            LEFT JOIN contacts ON contacts.id = (payload ->> 'contact_id')::uuid
            ORDER BY jobs.created_at, 1
            """,
        ])
        await server.stop()
        #expect(psqlStatus == 0)
        #expect(
            table.split(separator: "\n").sorted() == [
                "Alpine Tools|completed|1|1|",
                "Baltic Foods|completed|1|1|",
                "Busy Brokers|completed|1|1|",
                "Flaky Networks|completed|2|1|",
                "Jonas Berg|completed|1|1|",
                "Keyless Inc|failed|1||Apollo API key not configured.",
                "Marit Oehlen|completed|1|1|",
                "No Website GmbH|failed|1||No domain available: neither t",
                "Nobody Ltd|failed|1||No organization data found. Ap",
                "Nordlicht Freight|completed|1|0|",
                "Nordlicht Freight|completed|1|1|",
                "Somebody Unknown|failed|1||No person data found. Apollo h",
                "Sparse Holdings|completed|1|1|",
                "Without Address|failed|1||Email or LinkedIn URL required",
            ])
    }
}
