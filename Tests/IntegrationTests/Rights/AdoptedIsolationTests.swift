import FoundationEssentials
import Postgres
import Support
import Testing

/// The same rules where the application's policies stood before.
@Suite(.database(.adopted)) struct AdoptedIsolationTests {
    let database = TestDatabase.current

    private func count(_ table: String, as user: String?) async throws -> Int {
        let statement: Statement = "SELECT 1 FROM public.\(sql: table)"
        return try await database.asUser(user.flatMap { UUID(uuidString: $0) }) { try $0.execute(statement).count }
    }

    @Test(arguments: [
        ("a0000000-0000-4000-8000-000000000001", 9, "the owner"),
        ("a0000000-0000-4000-8000-000000000002", 9, "an admin"),
        ("a0000000-0000-4000-8000-000000000003", 9, "a member"),
        ("a0000000-0000-4000-8000-000000000004", 0, "suspended"),
        ("a0000000-0000-4000-8000-000000000005", 0, "invited"),
        ("b0000000-0000-4000-8000-000000000002", 5, "a member of South"),
        ("c0000000-0000-4000-8000-000000000001", 0, "admin of a suspended workspace"), (nil, 0, "nobody"),
    ])
    func `each sees the jobs of the own workspace`(user: String?, jobs: Int, who: String) async throws {
        #expect(try await count("jobs", as: user) == jobs, "\(who)")
    }

    @Test func `an update of a foreign job, open to all before, changes nothing`() async throws {
        let ae = try #require(UUID(uuidString: "b0000000-0000-4000-8000-000000000002"))
        let changed = try await database.asUser(ae) { connection in
            try connection.execute(
                "UPDATE public.jobs SET status = 'cancelled' WHERE workspace_id = '10000000-0000-4000-8000-000000000001'"
            ).affected
        }
        #expect(changed == 0)
    }

    @Test func `the grants that anon had by default are gone`() async throws {
        for table in [
            "jobs", "job_logs", "workspace_settings", "enrichment_cache", "rate_limits", "dead_letter_queue",
            "job_audit",
        ] {
            let refusal = try await TestDatabase.refusal {
                try await database.asRole("anon") { try $0.execute("SELECT 1 FROM public.\(sql: table)") }
            }
            #expect(refusal == "42501", "\(table)")
        }
    }

    @Test func `the stored keys can't be read`() async throws {
        let owner = try #require(UUID(uuidString: "a0000000-0000-4000-8000-000000000001"))
        let refusal = try await TestDatabase.refusal {
            try await database.asUser(owner) {
                try $0.execute("SELECT apollo_api_key_encrypted FROM public.workspace_settings")
            }
        }
        #expect(refusal == "42501")
    }
}
