package import Enrichment
package import FoundationEssentials
package import Postgres

/// A workspace with companies and people to enrich, and one that has no key for Apollo.io.
package struct SampleWorkspace: Sendable {
    /// Has an Apollo.io key that the stand-in knows.
    package static let enriched = fixedID(0x01)
    package static let withoutKey = fixedID(0x02)
    package static let owner = fixedID(0xa1)

    /// A company or a person of the sample, by what is told about it.
    package struct Subject: Sendable, Hashable {
        package let id: UUID
        /// How people call it: the account's name or the contact's.
        package let name: String
        /// A company's domain, or a person's e-mail address.
        package let lookup: String?
    }

    package static let accounts: [Subject] = [
        account(1, "Nordlicht Freight", "nordlicht.example.com"),
        account(2, "Alpine Tools", "alpine-tools.example.com"),
        account(3, "Baltic Foods", "baltic-foods.example.org"),
        account(4, "Sparse Holdings", "sparse.example.org"),
        account(5, "Nobody Ltd", "nobody.test"),
        account(6, "Flaky Networks", "flaky.test"),
        account(7, "Busy Brokers", "retry-after-3.test"),
        account(8, "No Website GmbH", nil),
    ]

    package static let contacts: [Subject] = [
        contact(1, "Marit Oehlen", "marit.oehlen@nordlicht.example.com"),
        contact(2, "Jonas Berg", "jonas.berg@alpine-tools.example.com"),
        contact(3, "Somebody Unknown", "unknown-person@baltic-foods.example.org"),
        contact(4, "Without Address", nil),
    ]

    /// In the workspace without a key.
    package static let foreignAccount = account(90, "Keyless Inc", "keyless.example.net")

    /// Adds what is missing; may be repeated.
    /// - Parameter key: What is stored as the workspace's Apollo.io key.
    package static func create(in pool: ConnectionPool, key: APIKey, vault: KeyVault) async throws {
        let sealed = try vault.seal(key, workspace: enriched)
        _ = try await pool.transaction { connection in
            try connection.execute(
                "INSERT INTO auth.users (id, email) VALUES (\(owner), 'owner@example.com') ON CONFLICT DO NOTHING")
            try connection.execute(
                """
                INSERT INTO public.workspaces (id, name, slug, owner_id)
                VALUES (\(enriched), 'Sample Sales', 'sample-sales', \(owner)),
                       (\(withoutKey), 'Without a key', 'without-key', \(owner))
                ON CONFLICT DO NOTHING
                """)
            try connection.execute(
                """
                INSERT INTO public.workspace_settings (workspace_id, apollo_api_key_encrypted, apollo_api_key_hint)
                VALUES (\(enriched), \(sealed), \(key.lastFour))
                ON CONFLICT (workspace_id) DO UPDATE
                SET apollo_api_key_encrypted = excluded.apollo_api_key_encrypted,
                    apollo_api_key_hint = excluded.apollo_api_key_hint
                """)
            try connection.execute(
                """
                INSERT INTO public.accounts (id, workspace_id, name, domain)
                SELECT given.id, \(enriched), given.name, given.domain
                FROM unnest(\(accounts.map(\.id)), \(accounts.map(\.name)), \(NullableArray(accounts.map(\.lookup))))
                    AS given (id, name, domain)
                ON CONFLICT DO NOTHING
                """)
            try connection.execute(
                """
                INSERT INTO public.accounts (id, workspace_id, name, domain)
                VALUES (\(foreignAccount.id), \(withoutKey), \(foreignAccount.name), \(foreignAccount.lookup))
                ON CONFLICT DO NOTHING
                """)
            try connection.execute(
                """
                INSERT INTO public.contacts (id, workspace_id, full_name, email)
                SELECT given.id, \(enriched), given.name, given.email
                FROM unnest(\(contacts.map(\.id)), \(contacts.map(\.name)), \(NullableArray(contacts.map(\.lookup))))
                    AS given (id, name, email)
                ON CONFLICT DO NOTHING
                """)
        }
    }

    private static func account(_ number: UInt8, _ name: String, _ domain: String?) -> Subject {
        Subject(id: fixedID(0xac, number), name: name, lookup: domain)
    }

    private static func contact(_ number: UInt8, _ name: String, _ email: String?) -> Subject {
        Subject(id: fixedID(0xc0, number), name: name, lookup: email)
    }

    /// The same on every run, so that commands shown in the documentation work.
    private static func fixedID(_ kind: UInt8, _ number: UInt8 = 0) -> UUID {
        UUID(uuid: (0x5a, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, kind, number))
    }
}
