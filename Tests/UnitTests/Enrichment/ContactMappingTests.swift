import JobWorker
import Testing

@testable import Enrichment

@Suite struct ContactMappingTests {
    private func person(_ json: String) throws -> ApolloRecord {
        try #require(ApolloRecord(in: JSONText(json).decode(JSONValue.self), member: "person"))
    }

    private func changes(_ json: String, stored: [String: String] = [:]) throws -> [String: ColumnValue] {
        let changes = ContactMapping.changes(try person(json), stored: StoredRow(stored))
        return Dictionary(uniqueKeysWithValues: changes.map { ($0.column, $0.value) })
    }

    @Test func `a full answer fills every column it has a value for`() throws {
        let changes = try changes(ApolloFixture.personFull)
        #expect(
            changes == [
                "first_name": .text("Marit"), "last_name": .text("Oehlen"), "full_name": .text("Marit Oehlen"),
                "email": .text("marit.oehlen@nordlicht.example.com"), "email_status": .text("verified"),
                "job_title": .text("Head of Operations"), "seniority_level": .text("Director"),
                "department": .text("operations"), "phone": .text("+12025550177"), "direct_dial": .text("+12025550177"),
                "city": .text("Kiel"), "state": .text("Schleswig-Holstein"), "country": .text("DE"),
                "linkedin_url": .text("https://www.linkedin.example.com/in/marit-oehlen"),
                "github_username": .text("moehlen"),
            ])
        #expect(Set(changes.keys).isSubset(of: ContactMapping.columns))
    }

    @Test func `Apollo's placeholder is no e-mail address`() throws {
        let changes = try changes(ApolloFixture.personWithoutOrganization)
        #expect(changes["email"] == nil)
        #expect(changes["email_status"] == nil)
        #expect(ContactMapping.summary(try person(ApolloFixture.personWithoutOrganization))["email"] == .null)
    }

    @Test func `names are filled in only where none is stored`() throws {
        let changes = try changes(ApolloFixture.personFull, stored: ["first_name": "M.", "full_name": "M. Oehlen"])
        #expect(changes["first_name"] == nil)
        #expect(changes["full_name"] == nil)
        #expect(changes["last_name"] == .text("Oehlen"))
    }

    @Test(arguments: [
        ("verified", "verified"), ("guessed", "unverified"), ("unavailable", "unverified"), ("", "unverified"),
    ])
    func `a new address is verified only if Apollo says so`(status: String, stored: String) throws {
        let answer = #"{"person": {"id": "1", "email": "a@b.example.com", "email_status": "\#(status)"}}"#
        #expect(try changes(answer) == ["email": .text("a@b.example.com"), "email_status": .text(stored)])
    }

    @Test(arguments: [
        ("unverified", true), ("verified", false), ("bounced", false), ("invalid", false), ("catch_all", false),
    ])
    func `Apollo confirms an unverified address and revives none that bounced`(stored: String, changesIt: Bool) throws {
        let answer = #"{"person": {"id": "1", "email": "A@b.example.com", "email_status": "verified"}}"#
        let changes = try changes(answer, stored: ["email": "a@b.example.com", "email_status": stored])
        #expect(changes == (changesIt ? ["email_status": .text("verified")] : [:]))
    }

    @Test(arguments: [
        ("owner", "C-Level"), ("founder", "C-Level"), ("c_suite", "C-Level"), ("vp", "VP"), ("head", "Director"),
        ("director", "Director"), ("manager", "Manager"), ("senior", "Individual Contributor"),
        ("entry", "Individual Contributor"), ("intern", "Individual Contributor"), ("wizard", nil),
    ])
    func `seniority becomes one of the application's levels`(seniority: String, level: String?) {
        #expect(ContactMapping.seniorityLevel(seniority) == level)
    }

    @Test func `phones go to columns by their kind, the first one is the phone`() throws {
        let answer =
            #"{"person": {"id": "1", "phone_numbers": [{"sanitized_number": "+1", "type": "mobile"}, {"raw_number": "2", "type": "work_direct"}, {"sanitized_number": null}, null]}}"#
        #expect(
            try changes(answer) == ["phone": .text("+1"), "mobile_phone": .text("+1"), "direct_dial": .text("2")])
    }

    @Test func `the workspace's own record gives a phone only when Apollo has none`() throws {
        let own = #""contact": {"phone_numbers": [{"sanitized_number": "+9"}]}"#
        #expect(try changes(#"{"person": {"id": "1", \#(own)}}"#) == ["phone": .text("+9")])
        #expect(
            try changes(#"{"person": {"id": "1", "phone_numbers": [{"sanitized_number": "+1"}], \#(own)}}"#)
                == ["phone": .text("+1")])
    }

    @Test func `status and opt-out are no columns of enrichment`() {
        #expect(!ContactMapping.columns.contains("status"))
        #expect(!ContactMapping.columns.contains("do_not_contact"))
    }

    @Test(arguments: [
        ("https://github.com/moehlen", "moehlen"), ("github.com/moehlen/", "moehlen"), ("https://github.com", nil),
        ("https://github.com/a?tab=b", "a"),
    ])
    func `the last part of the GitHub address is the user`(link: String, user: String?) {
        #expect(ContactMapping.githubUsername(link) == user)
    }

    @Test func `the result names the person`() throws {
        #expect(
            ContactMapping.summary(try person(ApolloFixture.personFull)) == [
                "name": "Marit Oehlen", "title": "Head of Operations", "email": "marit.oehlen@nordlicht.example.com",
                "phone": "+12025550177",
            ])
    }
}
