import FoundationEssentials
import JobWorker
import Testing

@testable import Enrichment

@Suite struct EnrichmentPayloadTests {
    private let id = "5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a10"

    private func failure(_ body: () throws(JobFailure) -> Void) -> JobFailure? {
        do throws(JobFailure) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        ("{}", "Missing account_id"), (#"{"account_id": null}"#, "Missing account_id"),
        (#"{"account_id": ""}"#, "Missing account_id"), (#"{"account_id": "x"}"#, "'account_id' is not a UUID"),
        (#"{"account_id": 7}"#, "'account_id' must be text"), ("[]", "a JSON object is expected"),
        ("null", "a JSON object is expected"),
    ])
    func `an account's payload without a usable id fails for good and says why`(payload: String, message: String) throws
    {
        let failure = try #require(failure { () throws(JobFailure) in _ = try AccountPayload(JSONText(payload)) })
        #expect(failure.kind == .permanent)
        #expect(failure.message.contains(message))
    }

    @Test func `a contact's payload without id says which is missing`() {
        let failure = failure { () throws(JobFailure) in _ = try ContactPayload(JSONText("{}")) }
        #expect(failure?.message == "Missing contact_id")
    }

    @Test(
        arguments: [("null", nil), (#""""#, nil), (#"" https://www.Example.com/ ""#, "example.com")]
            as [(String, String?)])
    func `null, empty and missing domains mean the same, others are normalised`(domain: String, expected: String?)
        throws
    {
        let payload = try AccountPayload(JSONText(#"{"account_id": "\#(id)", "domain": \#(domain), "surplus": [1]}"#))
        #expect(payload.domain == expected)
        #expect(payload.accountID.uuidString.lowercased() == id)
    }

    @Test func `a payload's e-mail address that is none is named but not quoted`() throws {
        let payload = JSONText(#"{"contact_id": "\#(id)", "email": "secret person"}"#)
        let failure = try #require(failure { () throws(JobFailure) in _ = try ContactPayload(payload) })
        #expect(failure.message.contains("'email'"))
        #expect(!failure.message.contains("secret person"))
    }

    @Test func `the payload's domain wins over the account's`() throws {
        let given = try AccountPayload(JSONText(#"{"account_id": "\#(id)", "domain": "given.example.com"}"#))
        let silent = try AccountPayload(JSONText(#"{"account_id": "\#(id)"}"#))
        #expect(try AccountSubject.domain(given, stored: "stored.example.com") == "given.example.com")
        #expect(try AccountSubject.domain(silent, stored: "WWW.Stored.example.com") == "stored.example.com")
        for stored in [nil, " ", "none"] {
            let failure = failure { () throws(JobFailure) in _ = try AccountSubject.domain(silent, stored: stored) }
            #expect(failure?.kind == .permanent)
            #expect(failure?.message.hasPrefix("No domain available") == true)
        }
    }

    @Test func `a contact is looked up by e-mail first, by LinkedIn else`() throws {
        let payload = try ContactPayload(JSONText(#"{"contact_id": "\#(id)"}"#))
        let both = try ContactSubject(
            payload,
            stored: StoredRow([
                "email": "A@b.example.com", "linkedin_url": "https://linkedin.com/in/a",
                "domain": "https://B.example.com",
            ]))
        #expect(both.lookup == CacheLookup(.email, "a@b.example.com"))
        #expect(both.query.linkedInURL == "https://linkedin.com/in/a")
        #expect(both.query.domain == "b.example.com")
        let placeholder = try ContactSubject(
            payload,
            stored: StoredRow([
                "email": "email_not_unlocked@domain.com", "linkedin_url": "http://www.LinkedIn.com/in/a/?x=1",
            ]))
        #expect(placeholder.lookup == CacheLookup(.linkedInURL, "https://linkedin.com/in/a"))
        #expect(placeholder.query.email == nil)
    }

    @Test func `a contact without e-mail and LinkedIn address can't be enriched`() throws {
        let payload = try ContactPayload(JSONText(#"{"contact_id": "\#(id)", "first_name": "Marit"}"#))
        let failure = failure { () throws(JobFailure) in
            _ = try ContactSubject(payload, stored: StoredRow(["first_name": "Marit"]))
        }
        #expect(failure?.kind == .permanent)
        #expect(failure?.message.hasPrefix("Email or LinkedIn URL required") == true)
    }

    @Test func `the payload's words for a person win over the stored ones`() throws {
        let payload = try ContactPayload(
            JSONText(#"{"contact_id": "\#(id)", "email": "new@b.example.com", "first_name": "New", "last_name": ""}"#))
        let subject = try ContactSubject(
            payload, stored: StoredRow(["email": "old@b.example.com", "first_name": "Old", "last_name": "Name"]))
        #expect(subject.query.email == "new@b.example.com")
        #expect(subject.query.firstName == "New")
        #expect(subject.query.lastName == "Name")
        #expect(subject.query.items.contains { $0.0 == "reveal_personal_emails" && $0.1 == "false" })
        #expect(!subject.query.items.contains { $0.0 == "linkedin_url" })
    }

    @Test func `a value too long for the cache's column is kept apart by its hash`() {
        let long = "https://linkedin.com/in/" + String(repeating: "a", count: 300)
        let lookup = CacheLookup(.linkedInURL, long)
        #expect(lookup.value.count == 71)
        #expect(lookup != CacheLookup(.linkedInURL, long + "b"))
    }
}
