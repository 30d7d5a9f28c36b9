import HTTPTypes
import HummingbirdCore
import NIOCore
import Testing

@testable import ControlPlane

@Suite struct RequestCheckTests {
    private let route = Route(
        .post, "/things/{id}", access: .members, "",
        parameters: [
            Parameter("limit", Schema(.whole(1...5)), ""), Parameter("on", Schema(.boolean), ""),
            Parameter("kind", Schema(.choice(["a", "b"])), "", isList: true),
            Parameter("Idempotency-Key", in: .header, Schema(.text(1...5, isOneLine: true)), ""),
        ], body: Schema(.object([.init("a", Schema(.whole(0...9)))], isOpen: false)),
        handler: { _ in .json("{}", status: .ok) })

    private func code(_ work: () throws(APIError) -> some Any) -> String? {
        do throws(APIError) {
            _ = try work()
            return nil
        } catch { return error.code }
    }

    private func check(_ query: String, id: String = "ffffffff-0000-4000-8000-000000000001", headers: HTTPFields = [:])
        -> String?
    {
        code { () throws(APIError) in
            try RequestCheck(route: route).checkParameters(["id": id], query: query, headers: headers)
        }
    }

    @Test(arguments: ["", "limit=1", "limit=5&on=true", "kind=a", "kind=a&kind=b", "kind=a,b&on=false", "limit=%31"])
    func `parameters of the declared form pass`(query: String) { #expect(check(query) == nil) }

    @Test(arguments: [
        ("limit=0", "invalid_parameter"), ("limit=6", "invalid_parameter"), ("limit=x", "invalid_parameter"),
        ("limit=", "invalid_parameter"), ("limit=1&limit=1", "invalid_parameter"), ("on=1", "invalid_parameter"),
        ("kind=c", "invalid_parameter"), ("kind=a,", "invalid_parameter"), ("limit=%", "invalid_parameter"),
        ("limits=1", "unknown_parameter"), ("LIMIT=1", "unknown_parameter"), ("%00=1", "unknown_parameter"),
    ])
    func `others are told`(query: String, expected: String) { #expect(check(query) == expected) }

    @Test func `a place of the path takes a UUID unless another form is declared`() {
        for id in ["7", "' OR 1=1 --", "ffffffff-0000-4000-8000-00000000000", "\u{0}"] {
            #expect(check("", id: id) == "invalid_parameter")
        }
    }

    @Test func `a declared header is held to its form`() throws {
        let name = try #require(HTTPField.Name("Idempotency-Key"))
        #expect(check("", headers: [name: "abcde"]) == nil)
        #expect(check("", headers: [name: "abcdef"]) == "invalid_parameter")
        // Bytes that are no text in UTF-8, as they are read.
        #expect(check("", headers: [name: "a\u{FFFD}"]) == "invalid_parameter")
        var twice: HTTPFields = [:]
        twice.append(HTTPField(name: name, value: "a"))
        twice.append(HTTPField(name: name, value: "b"))
        #expect(check("", headers: twice) == "invalid_parameter")
    }

    @Test(arguments: [
        ("application/json", nil), ("application/json; charset=utf-8", nil), ("Application/JSON ;charset=UTF-8", nil),
        ("application/json; charset=latin1", "unsupported_media_type"), ("text/plain", "unsupported_media_type"),
        ("application/x-www-form-urlencoded", "unsupported_media_type"), ("", "unsupported_media_type"),
        ("application/jsonp", "unsupported_media_type"),
    ])
    func `a body is read where it is called JSON`(type: String, expected: String?) {
        let code = code { () throws(APIError) in
            try RequestCheck(route: route).document(ByteBuffer(string: #"{"a":1}"#), headers: [.contentType: type])
        }
        #expect(code == expected)
    }

    @Test(arguments: [
        ("", "invalid_json"), ("{", "invalid_json"), (#"{"a":1}x"#, "invalid_json"), ("[]", "invalid_body"),
        (#"{"a":10}"#, "invalid_body"), (#"{"b":1}"#, "invalid_body"), (#"{"a":"\u0000"}"#, "invalid_body"),
        (#"{"a":1e1000}"#, "invalid_body"),
    ])
    func `a body of another form is told`(body: String, expected: String) {
        let code = code { () throws(APIError) in
            try RequestCheck(route: route).document(ByteBuffer(string: body), headers: [:])
        }
        #expect(code == expected)
    }

    @Test func `a whole number is handed on as one, however it is written`() throws {
        let document = try RequestCheck(route: route).document(ByteBuffer(string: #"{"a":5.0}"#), headers: [:])
        #expect(document?.text == #"{"a":5}"#)
    }

    @Test func `requests beyond the limit are turned away at once, and room is made again`() async throws {
        let gate = RequestGate(limit: 1)
        try await gate.pass {
            await #expect(throws: APIError.busy) { try await gate.pass {} }
        }
        try await gate.pass {}
        await #expect(throws: APIError.notFound) { try await gate.pass { throw APIError.notFound } }
        try await gate.pass {}
    }
}
