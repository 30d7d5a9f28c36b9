import JobWorker
import Testing

@testable import Enrichment

@Suite struct AccountMappingTests {
    private func organization(_ json: String) throws -> ApolloRecord {
        try #require(ApolloRecord(in: JSONText(json).decode(JSONValue.self), member: "organization"))
    }

    private func changes(_ json: String, stored: [String: String] = [:], year: Int = 2026) throws -> [String:
        ColumnValue]
    {
        let changes = AccountMapping.changes(try organization(json), stored: StoredRow(stored), year: year)
        return Dictionary(uniqueKeysWithValues: changes.map { ($0.column, $0.value) })
    }

    @Test func `a full answer fills every column it has a value for`() throws {
        let changes = try changes(ApolloFixture.organizationFull)
        #expect(
            changes == [
                "name": .text("Nordlicht Freight GmbH"),
                "domain": .text("nordlicht.example.com"),
                "website": .text("https://www.nordlicht.example.com"),
                "logo_url": .text("https://img.example.com/nordlicht.png"),
                "description": .text("Refrigerated freight between Kiel and the Baltic ports."),
                "industry": .text("logistics & supply chain"),
                "employee_count": .integer(240),
                "employee_range": .text("201-500"),
                "annual_revenue": .integer(4_125_000_000),
                "funding_total": .integer(620_000_000),
                "funding_stage": .text("Series A"),
                "last_funding_date": .date("2021-11-09"),
                "headquarters_address": .text("Hafenstrasse 7"),
                "headquarters_city": .text("Kiel"),
                "headquarters_state": .text("Schleswig-Holstein"),
                "headquarters_postal_code": .text("24103"),
                "headquarters_country": .text("DE"),
                "founded_year": .integer(1998),
                "technologies": .json([
                    "Load Balancers": ["Nginx"], "Marketing Automation": ["HubSpot"], "Databases": ["PostgreSQL"],
                ]),
                "linkedin_url": .text("https://www.linkedin.example.com/company/nordlicht-freight"),
                "linkedin_id": .text("900100200"),
                "twitter_url": .text("https://twitter.example.com/nordlichtfreight"),
                "facebook_url": .text("https://facebook.example.com/nordlichtfreight"),
            ])
        #expect(Set(changes.keys).isSubset(of: AccountMapping.columns))
    }

    @Test func `a sparse answer changes only what it knows`() throws {
        #expect(
            try changes(ApolloFixture.organizationSparse) == [
                "name": .text("Kleinbetrieb Umlaut & Söhne"), "domain": .text("umlaut.example.org"),
            ])
    }

    @Test func `values that are stored already do not count as changes`() throws {
        let stored = [
            "name": "Nordlicht", "domain": "nordlicht.example.com", "industry": "logistics & supply chain",
            "employee_count": "240", "employee_range": "201-500", "annual_revenue": "4125000000",
            "last_funding_date": "2021-11-09", "headquarters_country": "DE",
            "technologies":
                #"{"Databases": ["PostgreSQL"], "Load Balancers": ["Nginx"], "Marketing Automation": ["HubSpot"]}"#,
        ]
        let changed = try Set(changes(ApolloFixture.organizationFull, stored: stored).keys)
        #expect(changed.isDisjoint(with: stored.keys))
        #expect(changed.contains("headquarters_city"))
    }

    @Test func `the users' name for an account wins, an empty one is filled in`() throws {
        let answer = #"{"organization": {"id": "1", "name": "Nordlicht Freight GmbH"}}"#
        #expect(try changes(answer, stored: ["name": "Our friends in Kiel"]).isEmpty)
        #expect(try changes(answer, stored: ["name": "  "]) == ["name": .text("Nordlicht Freight GmbH")])
    }

    @Test(arguments: [
        ("41250000", 4_125_000_000), ("41250000.505", 4_125_000_051), (#""41250000""#, 4_125_000_000),
        (#""$41,250,000""#, 4_125_000_000), (#""41.3M""#, 4_130_000_000),
    ])
    func `revenue in units becomes cents, also from fractions and text`(revenue: String, cents: Int64) throws {
        #expect(
            try changes(#"{"organization": {"id": "1", "annual_revenue": \#(revenue)}}"#) == [
                "annual_revenue": .integer(cents)
            ])
    }

    @Test(arguments: ["null", "0", "-5", #""""#, #""unknown""#, "1e300", "[]", "{}", "true"])
    func `revenue that means nothing is left out`(revenue: String) throws {
        #expect(try changes(#"{"organization": {"id": "1", "annual_revenue": \#(revenue)}}"#).isEmpty)
    }

    @Test(arguments: [
        (1, "1-10"), (10, "1-10"), (11, "11-50"), (50, "11-50"), (51, "51-200"), (200, "51-200"), (201, "201-500"),
        (500, "201-500"), (501, "501-1000"), (1000, "501-1000"), (1001, "1001-5000"), (5000, "1001-5000"),
        (5001, "5000+"), (2_000_000, "5000+"),
    ])
    func `employees fall into the application's bands`(count: Int64, band: String) {
        #expect(AccountMapping.employeeRange(count) == band)
    }

    @Test(arguments: [
        ("1799", false), ("1800", true), ("2026", true), ("2027", false), ("0", false), (#""1998""#, true),
    ])
    func `a founding year lies between 1800 and now`(year: String, isTaken: Bool) throws {
        let changes = try changes(#"{"organization": {"id": "1", "founded_year": \#(year)}}"#)
        #expect(changes.keys.contains("founded_year") == isTaken)
    }

    @Test func `texts are cut to their columns, counted as PostgreSQL counts`() throws {
        let long = String(repeating: "é", count: 120)
        let decomposed = String(repeating: "e\u{301}", count: 80)
        let changes = try changes(
            #"{"organization": {"id": "1", "industry": "\#(long)", "city": "\#(decomposed)", "publicly_traded_symbol": "TOOLONGTICKER"}}"#
        )
        #expect(changes["industry"] == .text(String(repeating: "é", count: 100)))
        if case .text(let city) = changes["headquarters_city"] { #expect(city.unicodeScalars.count == 100) }
        #expect(changes["stock_ticker"] == nil)
    }

    @Test func `control characters and links that are none stay out`() throws {
        let changes = try changes(
            #"{"organization": {"id": "1", "industry": " a\u0000b\n ", "website_url": "javascript:alert(1)", "logo_url": "ftp://x.example.com", "twitter_url": "twitter.com/x"}}"#
        )
        #expect(changes == ["industry": .text("a b"), "twitter_url": .text("twitter.com/x")])
    }

    @Test func `technologies without a category stand under Other, none erases nothing`() throws {
        let some =
            #"{"organization": {"id": "1", "current_technologies": [{"name": "B", "category": null}, {"name": "A", "category": "X"}, {"uid": "c"}, 7], "technology_names": ["A", "C", null]}}"#
        #expect(try changes(some) == ["technologies": .json(["X": ["A"], "Other": ["B", "C"]])])
        #expect(
            try changes(#"{"organization": {"id": "1", "current_technologies": [], "technology_names": null}}"#).isEmpty
        )
    }

    @Test func `the result names the company and joins the known parts of its place`() throws {
        #expect(
            AccountMapping.summary(try organization(ApolloFixture.organizationFull)) == [
                "name": "Nordlicht Freight GmbH", "industry": "logistics & supply chain", "employee_count": 240,
                "location": "Kiel, Schleswig-Holstein, Germany",
            ])
        #expect(
            AccountMapping.summary(
                try organization(#"{"organization": {"id": "1", "city": "Kiel", "state": "", "country": "Germany"}}"#))
                == [
                    "name": nil, "industry": nil, "employee_count": nil, "location": "Kiel, Germany",
                ])
    }
}
