import Testing

@testable import Dashboard

@Suite struct HTMLTests {
    @Test(arguments: ["<script>alert(1)</script>", "\" onload=\"x", "' autofocus onfocus='x", "</textarea><b>", "<!--"])
    func `text from outside never becomes markup`(text: String) {
        let page: HTML = "<p title=\"\(text)\">\(text)</p>"
        #expect(!page.text.dropFirst(3).dropLast(4).contains { "<'".contains($0) })
        #expect(page.text.filter { $0 == "\"" }.count == 2)
        #expect(page.text.filter { $0 == ">" }.count == 2)
    }

    @Test func `an ampersand stays one`() {
        #expect(("\("a&amp;b")" as HTML).text == "a&amp;amp;b")
    }

    @Test func `markup goes in as it is`() {
        let piece: HTML = "<b>\("<")</b>"
        #expect(("<p>\(piece)\([piece, piece])</p>" as HTML).text == "<p><b>&lt;</b><b>&lt;</b><b>&lt;</b></p>")
    }

    @Test func `a part of an address stays one part`() {
        #expect(("\(address: "a/b?c=d&e \"é")" as HTML).text == "a%2Fb%3Fc%3Dd%26e%20%22%C3%A9")
    }

    @Test func `characters that would turn text around are shown as unreadable`() {
        #expect("a\u{202E}b\u{0}c".escapedForHTML == "a\u{FFFD}b\u{FFFD}c")
    }

    @Test func `only loopback goes without a secure cookie`() {
        for name in ["localhost", "localhost:8080", "127.0.0.1:80", "[::1]:80"] { #expect(Dashboard.isLoopback(name)) }
        for name in ["jobs.example.com", "localhost.example.com", "10.0.0.1:80", ""] {
            #expect(!Dashboard.isLoopback(name))
        }
    }
}
