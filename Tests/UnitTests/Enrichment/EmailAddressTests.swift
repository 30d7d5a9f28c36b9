import Testing

@testable import Enrichment

@Suite struct EmailAddressTests {
    @Test(arguments: ["a@b.example.com", "marit.oehlen+x@nordlicht.example.com", "A_B%c@x-y.org"])
    func `an ordinary address can be stored`(text: String) {
        #expect(EmailAddress.isStorable(text))
        #expect(EmailAddress.isPlausible(text))
    }

    @Test(arguments: ["", "a", "a@b", "@b.com", "a@b.c", "a b@c.com", "a@b..com", "a@@b.com", "ü@b.com", "a@b.com "])
    func `anything else stays out of the table`(text: String) {
        #expect(!EmailAddress.isStorable(text))
    }

    @Test func `the placeholder is recognised under any domain`() {
        #expect(EmailAddress.isPlaceholder("Email_Not_Unlocked@domain.com"))
        #expect(!EmailAddress.isPlaceholder("email@domain.com"))
    }
}
