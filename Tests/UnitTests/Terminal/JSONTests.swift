import Terminal
import Testing

struct JSONTests {
    private let value = JSON.object([
        ("b", .integer(1)), ("a", .array([.null, .bool(true), .double(0.5), .double(2), .double(.nan)])),
        ("e", .array([])),
        ("o", .object([])), ("r", .raw("{\"n\": 1.10}")),
    ])

    @Test func `members keep their order`() {
        #expect(value.line == #"{"b":1,"a":[null,true,0.5,2,null],"e":[],"o":{},"r":{"n": 1.10}}"#)
    }

    @Test func `a document is indented`() {
        #expect(
            value.document == """
                {
                  "b": 1,
                  "a": [
                    null,
                    true,
                    0.5,
                    2,
                    null
                  ],
                  "e": [],
                  "o": {},
                  "r": {"n": 1.10}
                }
                """)
    }

    @Test func `text can be read back and holds no control character`() {
        #expect(
            JSON.string("\"\\\n\r\t\u{0}\u{1B}\u{9B}\u{2028}ü/").line == #""\"\\\n\r\t\u0000\u001b\u009b\u2028ü/""#)
    }

    @Test func `JSON from the database is indented without losing a digit`() {
        #expect(
            JSON.indented(#"{"a": [1, 2.50, {}], "b{": "x,\"{", "c": []}"#) == """
                {
                  "a": [
                    1,
                    2.50,
                    {}
                  ],
                  "b{": "x,\\"{",
                  "c": []
                }
                """)
        #expect(JSON.indented("null") == "null")
    }
}
