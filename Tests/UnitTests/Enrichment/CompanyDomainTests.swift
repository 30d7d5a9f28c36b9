import Testing

@testable import Enrichment

@Suite struct CompanyDomainTests {
    @Test(arguments: [
        ("Example.COM", "example.com"), (" https://www.example.com/about?x=1 ", "example.com"),
        ("http://example.com:8080", "example.com"), ("example.com.", "example.com"),
        ("www.example.com..", "example.com"),
        ("user@example.com", "example.com"), ("https://u:p@example.com/", "example.com"),
        ("//example.com", "example.com"),
        ("sub.www.example.com", "sub.www.example.com"), ("www.com", "www.com"), ("flaky-2.test", "flaky-2.test"),
        ("bücher.example", "bücher.example"), ("example.com#top", "example.com"),
    ])
    func `a domain is brought to one form`(text: String, domain: String) {
        #expect(CompanyDomain.normalized(text) == domain)
    }

    @Test(arguments: [
        "", " ", "localhost", "example", "127.0.0.1", "exa mple.com", "-a.com", "a-.com", ".com", "a..b", "https://",
        "a.com;drop", String(repeating: "a", count: 64) + ".com",
    ])
    func `what is no domain is refused`(text: String) {
        #expect(CompanyDomain.normalized(text) == nil)
    }
}
