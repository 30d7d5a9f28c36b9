import HTTPClient
import Testing

@Suite(.timeLimit(.minutes(5)))
struct HTTPRequestTests {
    @Test(arguments: [
        "file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "127.0.0.1/x", "", "http:/x", "//x",
    ])
    func `only http and https are spoken`(url: String) async throws {
        try await expectInvalidURL(url)
    }

    @Test(arguments: ["http://host/a b", "http://host/\u{0}", "http://host/\r\nX: y", "http://host:99999/", "http://"])
    func `a damaged URL is refused`(url: String) async throws {
        try await expectInvalidURL(url)
    }

    private func expectInvalidURL(_ url: String) async throws {
        let error = await #expect(throws: HTTPError.self) { try await Client().send(Request(url: url)) }
        guard case .invalidURL = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test(arguments: [
        ("A", "b\r\nC: d"), ("A", "b\nc"), ("A", "\u{0}"), ("A\r\nB", "c"), ("A:", "b"), ("", "b"), ("A b", "c"),
    ])
    func `a header can't smuggle another one in`(name: String, value: String) async throws {
        let error = await #expect(throws: HTTPError.self) {
            try await Client().send(Request(url: "http://127.0.0.1:1/", headers: [(name, value)]))
        }
        guard case .invalidHeader = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func `a method is a word`() async throws {
        await #expect(throws: HTTPError.invalidHeader("the method is not a word")) {
            try await Client().send(Request(method: "GET / HTTP/1.1\r\nX:", url: "http://127.0.0.1:1/"))
        }
    }

    @Test func `an error about a URL or a header holds no secret`() async throws {
        for request in [
            Request(url: "http://user:hush@host/x y?key=hush"), Request(url: "http://u:hush@h:99999/?key=hush"),
            Request(url: "http://host/", headers: [("Authorization", "hush\n")]),
        ] {
            let error = await #expect(throws: HTTPError.self) { try await Client().send(request) }
            #expect(!"\(String(describing: error))".contains("hush"))
        }
    }

    @Test func `a request printed shows no keys`() {
        let request = Request(
            method: "POST", url: "https://user:hush@api.example/path/x?api_key=hush#hush",
            headers: [
                ("X-Api-Key", "hush"), ("authorization", "Bearer hush"), ("Cookie", "a=hush"),
                ("Proxy-Authorization", "hush"), ("Accept", "text/plain"),
            ],
            body: Array("hush".utf8))
        #expect(
            request.description
                == "POST https://api.example/path/x?… [X-Api-Key: •••, authorization: •••, Cookie: •••, "
                + "Proxy-Authorization: •••, Accept: text/plain], 4 bytes")
        var dumped = ""
        dump(request, to: &dumped)
        #expect(!"\(String(reflecting: request)) \(dumped)".contains("hush"))
    }

    @Test func `a header is found in upper and lower case`() {
        let response = Response(status: 200, headers: [("Retry-After", "5"), ("retry-after", "6")], body: [])
        #expect(response.header("RETRY-AFTER") == "5")
        #expect(response.header("Retry") == nil)
    }

    @Test(
        arguments: [
            ([], ""), ([("a", "b")], "a=b"),
            ([("q", "a b&c=d+e"), ("é", "100%/")], "q=a%20b%26c%3Dd%2Be&%C3%A9=100%25%2F"),
            ([("azAZ09", "-._~")], "azAZ09=-._~"), ([("", "")], "="),
        ] as [([(String, String)], String)])
    func `a query keeps unreserved characters and encodes the rest`(items: [(String, String)], query: String) {
        #expect(encodeQuery(items) == query)
    }
}
