import Testing

@testable import Enrichment

@Suite struct PersonalDataTests {
    @Test(arguments: [
        ("No person with kim@example.com was found.", "No person with ••• was found."),
        ("email='kim@example.com', try again", "email='•••', try again"),
        ("/match?email=kim%40example.com&name=x", "/match?email=•••&name=x"),
        ("<https://www.LinkedIn.com/in/kim>: gone", "<•••>: gone"),
        ("linkedin.com%2Fin%2Fkim", "•••"),
        ("A LinkedIn URL is required.", "A LinkedIn URL is required."),
        ("api/v1/people/match is 50 times per minute", "api/v1/people/match is 50 times per minute"),
        ("", ""),
    ])
    func `addresses are hidden, the rest of the sentence stays`(text: String, shown: String) {
        #expect(text.withoutPersonalData == shown)
    }
}
