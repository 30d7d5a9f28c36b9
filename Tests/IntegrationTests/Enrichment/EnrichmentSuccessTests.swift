import Enrichment
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// What a match leaves behind: the row, the result, the counters, the log.
@Suite(.database()) struct EnrichmentSuccessTests {
    let scene: EnrichmentScene
    let database = TestDatabase.current

    init() async throws {
        scene = try await EnrichmentScene()
    }

    // MARK: Accounts

    @Test func `a company's whole record goes into the account's columns`() async throws {
        let account = try await database.insertAccount("Our Nordlicht", domain: "nordlicht.example.com")
        let job = try await scene.enqueue(.account, account, with: ["domain": nil, "enrich_fields": ["industry"]])
        try await scene.run(job)
        #expect(
            try await scene.row(.account, account) == [
                "id": .string(account.text), "workspace_id": .string(TestDatabase.workspace.text), "status": "active",
                // The users' wording wins.
                "name": "Our Nordlicht",
                "domain": "nordlicht.example.com", "website": "https://www.nordlicht.example.com",
                "logo_url": "https://img.example.com/nordlicht.png",
                "description": "Refrigerated freight between Kiel and the Baltic ports.",
                "industry": "logistics & supply chain", "employee_count": 240, "employee_range": "201-500",
                // Apollo's 41 250 000 and 6 200 000, in cents.
                "annual_revenue": 4_125_000_000, "funding_total": 620_000_000,
                "funding_stage": "Series A", "last_funding_date": "2021-11-09",
                "headquarters_address": "Hafenstrasse 7", "headquarters_city": "Kiel",
                "headquarters_state": "Schleswig-Holstein", "headquarters_postal_code": "24103",
                "headquarters_country": "DE", "founded_year": 1998,
                "technologies": [
                    "Databases": ["PostgreSQL"], "Load Balancers": ["Nginx"], "Marketing Automation": ["HubSpot"],
                ],
                "linkedin_url": "https://www.linkedin.example.com/company/nordlicht-freight",
                "linkedin_id": "900100200",
                "twitter_url": "https://twitter.example.com/nordlichtfreight",
                "facebook_url": "https://facebook.example.com/nordlichtfreight",
            ])
        #expect(
            try await database.count(
                "last_enriched_at IS NOT NULL AND tech_stack_last_updated IS NOT NULL", of: "public.accounts") == 1)
        #expect(
            try await scene.result(job) == [
                "account_id": .string(account.text), "credits_used": 1, "fields_enriched": 21,
                "enriched_data": [
                    "name": "Nordlicht Freight GmbH", "industry": "logistics & supply chain", "employee_count": 240,
                    "location": "Kiel, Schleswig-Holstein, Germany",
                ],
            ])
    }

    @Test func `what a sparse record leaves open erases nothing`() async throws {
        let account = try await database.insertAccount("Stored", domain: "sparse.example.org")
        try await database.run(
            """
            UPDATE public.accounts SET website = 'https://stored.example.org', description = 'stored', logo_url = 'stored',
                industry = 'stored', employee_count = 7, employee_range = '1-10', annual_revenue = 700, funding_total = 7,
                funding_stage = 'Seed', last_funding_date = '2020-02-02', headquarters_address = 'stored',
                headquarters_city = 'stored', headquarters_state = 'stored', headquarters_postal_code = '7',
                headquarters_country = 'SE', founded_year = 1977, stock_ticker = 'STRD', technologies = '{"CRM": ["Stored"]}',
                linkedin_url = 'stored', linkedin_id = '7', twitter_url = 'stored', facebook_url = 'stored',
                crunchbase_url = 'stored'
            """)
        var expected = try await scene.row(.account, account)
        let job = try await scene.enqueue(.account, account)
        try await scene.run(job)
        // The one value it has that may be taken over.
        expected["domain"] = "umlaut.example.org"
        #expect(try await scene.row(.account, account) == expected)
        #expect(try await scene.result(job)["fields_enriched"] == 1)
        #expect(
            try await scene.result(job)["enriched_data"] == [
                "name": "Kleinbetrieb Umlaut & Söhne", "industry": nil, "employee_count": nil,
                "location": "Republic of Nowhere",
            ])
    }

    @Test func `the payload's domain is asked for instead of the account's`() async throws {
        let account = try await database.insertAccount(domain: "unknown-old.example.com")
        let job = try await scene.enqueue(
            .account, account, with: ["domain": "HTTPS://www.Nordlicht.example.com:443/about."])
        try await scene.run(job)
        #expect(try await scene.row(.account, account)["domain"] == "nordlicht.example.com")
        #expect(try await scene.ledger()["subjects"]?["unknown-old.example.com"] == nil)
    }

    @Test func `a domain that another account has is left to it, which the log tells`() async throws {
        let account = try await database.insertAccount(domain: "sparse.example.org")
        try await database.insertAccount("Rival", domain: "umlaut.example.org")
        let job = try await scene.enqueue(.account, account)
        try await scene.run(job)
        #expect(try await database.job(job).status == "completed")
        #expect(try await scene.row(.account, account)["domain"] == "sparse.example.org")
        #expect(try await scene.result(job)["fields_enriched"] == 0)
        #expect(
            try await database.logs(of: job).contains {
                $0.level == "warn"
                    && $0.message == """
                        Account keeps its domain: the new one belongs to another row of the workspace or can't be stored
                        """
            })
    }

    @Test func `a domain that another account takes at the same moment is left to it`() async throws {
        let account = try await database.insertAccount(domain: "sparse.example.org")
        // Somebody adds the other account between the look and the update.
        try await database.run(
            """
            CREATE FUNCTION public.take_domain() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
            BEGIN
                INSERT INTO public.accounts (workspace_id, name, domain) VALUES (NEW.workspace_id, 'Rival', NEW.domain);
                RETURN NEW;
            END $$;
            CREATE TRIGGER take_domain BEFORE UPDATE OF domain ON public.accounts
                FOR EACH ROW WHEN (NEW.domain = 'umlaut.example.org') EXECUTE FUNCTION public.take_domain();
            """)
        let job = try await scene.enqueue(.account, account)
        try await scene.run(job)
        #expect(try await database.job(job).status == "completed")
        #expect(try await scene.row(.account, account)["domain"] == "sparse.example.org")
        #expect(try await scene.creditsUsed() == 1)
        #expect(try await scene.requests() == 1)
    }

    // MARK: Contacts

    @Test func `a person's whole record goes into the contact's columns`() async throws {
        let contact = try await database.insertContact("Marit O.", email: "marit.oehlen@nordlicht.example.com")
        let job = try await scene.enqueue(.contact, contact)
        try await scene.run(job)
        #expect(
            try await scene.row(.contact, contact) == [
                "id": .string(contact.text), "workspace_id": .string(TestDatabase.workspace.text), "status": "active",
                "do_not_contact": false,
                "full_name": "Marit O.", "first_name": "Marit", "last_name": "Oehlen",
                "email": "marit.oehlen@nordlicht.example.com", "email_status": "verified",
                "job_title": "Head of Operations", "seniority_level": "Director", "department": "operations",
                "phone": "+12025550177", "direct_dial": "+12025550177",
                "city": "Kiel", "state": "Schleswig-Holstein", "country": "DE",
                "linkedin_url": "https://www.linkedin.example.com/in/marit-oehlen", "github_username": "moehlen",
            ])
        #expect(
            try await scene.result(job) == [
                "contact_id": .string(contact.text), "credits_used": 1, "fields_enriched": 13,
                "enriched_data": [
                    "name": "Marit Oehlen", "title": "Head of Operations",
                    "email": "marit.oehlen@nordlicht.example.com", "phone": "+12025550177",
                ],
            ])
        try await scene.expectDiscreet(job)
    }

    @Test func `a placeholder address is none, and people who opted out stay out`() async throws {
        let contact = try await database.insertContact(
            "I. Example", email: nil, linkedIn: "https://www.linkedin.example.com/in/ines-example")
        try await database.query(
            "UPDATE public.contacts SET do_not_contact = true, status = 'archived', job_title = 'Stored', country = 'SE'"
        )
        var expected = try await scene.row(.contact, contact)
        let job = try await scene.enqueue(.contact, contact)
        try await scene.run(job)
        expected["first_name"] = "Ines"
        #expect(try await scene.row(.contact, contact) == expected)
        #expect(expected["do_not_contact"] == true && expected["status"] == "archived" && expected["email"] == nil)
        #expect(try await scene.isEnriched(.contact, contact))
        #expect(
            try await scene.result(job)["enriched_data"] == ["name": "Ines", "title": nil, "email": nil, "phone": nil])
    }

    @Test func `an address that another contact has is left to it, which the log tells without it`() async throws {
        let contact = try await database.insertContact(
            email: nil, linkedIn: "https://www.linkedin.example.com/in/marit-oehlen")
        try await database.insertContact("Rival", email: "marit.oehlen@nordlicht.example.com")
        let job = try await scene.enqueue(.contact, contact)
        try await scene.run(job)
        let row = try await scene.row(.contact, contact)
        #expect(row["email"] == nil)
        #expect(row["email_status"] == "unverified")
        #expect(row["job_title"] == "Head of Operations")
        #expect(
            try await database.logs(of: job).contains {
                $0.level == "warn" && $0.message.hasPrefix("Contact keeps its email: ")
            })
        try await scene.expectDiscreet(job)
    }

    @Test func `an address is no clash with an archived contact or another workspace's`() async throws {
        let contact = try await database.insertContact(
            email: nil, linkedIn: "https://www.linkedin.example.com/in/marit-oehlen")
        let archived = try await database.insertContact("Old", email: "marit.oehlen@nordlicht.example.com")
        try await database.query("UPDATE public.contacts SET status = 'archived' WHERE id = \(archived)")
        let other = try await database.insertWorkspace()
        try await database.insertContact("Foreign", email: "marit.oehlen@nordlicht.example.com", workspace: other)
        try await scene.run(try await scene.enqueue(.contact, contact))
        #expect(try await scene.row(.contact, contact)["email"] == "marit.oehlen@nordlicht.example.com")
    }

    // MARK: Both

    @Test(arguments: Kind.allCases)
    func `the credit is counted and the last enrichment noted`(kind: Kind) async throws {
        try await database.query("UPDATE public.workspace_settings SET enrichment_credits_used = 41")
        let row = try await scene.insert(kind, at: "counted.example.com")
        try await scene.run(try await scene.enqueue(kind, row))
        #expect(try await scene.creditsUsed() == 42)
        #expect(
            try await database.count(
                "last_enrichment_at BETWEEN now() - interval '5 minutes' AND now()", of: "public.workspace_settings")
                == 1)
        #expect(try await scene.isEnriched(kind, row))
    }

    @Test(arguments: Kind.allCases)
    func `the log tells an attempt's course, in order and without a word about the person`(kind: Kind) async throws {
        let job = try await scene.attempt(kind, at: "logged.example.com")
        let logs = try await database.logs(of: job)
        let found = logs.first { $0.message == "Apollo found a match and charged for it" }
        #expect(found?.metadata?["credits_used"] == 1)
        let updated = logs.first { $0.message == "\(kind.name) updated" }
        #expect(updated?.metadata?["credits_used"] == 1)
        #expect(updated?.metadata?["fields_enriched"] == (try await scene.result(job)["fields_enriched"]))
        #expect(
            logs.dropLast().map(\.message) == [
                "Attempt 1 of 5 started", "Cache miss", "Apollo found a match and charged for it",
                "\(kind.name) updated",
            ])
        #expect(logs.last?.message.hasPrefix("Completed in ") == true)
        try await scene.expectDiscreet(job)
    }

    @Test(arguments: Kind.allCases)
    func `progress climbs through the steps and never falls`(kind: Kind) async throws {
        try await database.run(
            """
            CREATE TABLE public.seen (place int GENERATED ALWAYS AS IDENTITY, percentage int, message text);
            CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
            BEGIN
                INSERT INTO public.seen (percentage, message)
                VALUES ((NEW.progress ->> 'percentage')::int, NEW.progress ->> 'message');
                RETURN NEW;
            END $$;
            CREATE TRIGGER see AFTER UPDATE ON public.jobs
                FOR EACH ROW WHEN (OLD.progress IS DISTINCT FROM NEW.progress) EXECUTE FUNCTION public.see();
            """)
        let row = try await scene.insert(kind, at: "steps.example.com")
        let paid = try await scene.enqueue(kind, row)
        try await scene.run(paid)
        let steps = try await database.query("SELECT percentage FROM public.seen ORDER BY place")
        #expect(try steps.map { try $0.decode("percentage", as: Int.self) } == [10, 20, 25, 30, 60, 80, 100])
        try await database.query("DELETE FROM public.seen")
        try await scene.run(try await scene.enqueue(kind, row))
        let words = try await database.query("SELECT message FROM public.seen ORDER BY place")
        #expect(
            try words.map { try $0.decode("message", as: String.self) } == [
                "Reading the workspace's settings", "Apollo client ready", "Looking in the cache", "Using cached data",
                "Matching fields", "Saving", "Saving",
            ])
    }
}

/// The same in the database of the application, with its triggers and its rows.
@Suite(.database(.adopted)) struct AdoptedEnrichmentTests {
    let database = TestDatabase.current
    private static let north = UUID(uuidString: "10000000-0000-4000-8000-000000000001")!
    private static let account = UUID(uuidString: "5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a10")!
    private static let contact = UUID(uuidString: "9b1d7c52-3f0e-4a58-8e57-6c1d40b8e2aa")!
    let scene: EnrichmentScene

    init() async throws {
        scene = try await EnrichmentScene()
        try await database.query("DELETE FROM public.jobs")
        // As the application stores it.
        try await scene.store(sealed: Data(scene.key.utf8).base64EncodedString(), workspace: Self.north)
    }

    @Test(arguments: [(Kind.account, account, "industry"), (.contact, contact, "job_title")])
    func `the application's history shows what enrichment changed, without an author`(
        kind: Kind, row: UUID, column: String
    ) async throws {
        let job = try await scene.enqueue(kind, row, workspace: Self.north)
        try await scene.run(job)
        #expect(try await database.job(job).status == "completed")
        #expect(try await scene.isEnriched(kind, row))
        let versions = try await database.query(
            """
            SELECT version_number, changed_by, change_source, data ->> \(column) AS value
            FROM public.\(sql: kind.rawValue)_versions WHERE \(sql: kind.rawValue)_id = \(row)
            """)
        let version = try #require(versions.first)
        #expect(versions.count == 1)
        #expect(try version.decode("version_number", as: Int.self) == 1)
        #expect(try version.decodeIfPresent("changed_by", as: UUID.self) == nil)
        #expect(try version.decode("change_source", as: String.self) == "user_edit")
        let value = try version.decode("value", as: String.self)
        #expect(try await scene.row(kind, row)[column] == .string(value))
    }

    @Test func `the application's credit counter goes on`() async throws {
        try await scene.run(try await scene.enqueue(.account, Self.account, workspace: Self.north))
        #expect(try await scene.creditsUsed(Self.north) == 38)
    }

    @Test func `an entry of the application's cache that has expired becomes fresh again`() async throws {
        let lifetime = """
            workspace_id = '\(Self.north.text)' AND lookup_value = 'nordlicht.example.com'
            AND expires_at BETWEEN now() + interval '29 days' AND now() + interval '31 days'
            """
        try await database.query("UPDATE public.enrichment_cache SET expires_at = now() - interval '1 hour'")
        try await scene.run(try await scene.enqueue(.account, Self.account, workspace: Self.north))
        #expect(try await scene.requests() == 1)
        #expect(try await database.count(lifetime, of: "public.enrichment_cache") == 1)
        try await scene.run(try await scene.enqueue(.account, Self.account, workspace: Self.north))
        #expect(try await scene.requests() == 1)
    }

    @Test func `what the application had cached is used`() async throws {
        try await database.query("UPDATE public.enrichment_cache SET expires_at = now() + interval '1 hour'")
        let job = try await scene.enqueue(.account, Self.account, workspace: Self.north)
        try await scene.run(job)
        #expect(try await scene.requests() == 0)
        #expect(try await scene.row(.account, Self.account)["industry"] == "logistics")
        #expect(try await scene.result(job)["credits_used"] == 0)
    }
}
