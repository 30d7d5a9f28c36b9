import FoundationEssentials
import JobWorker
import Testing

@Suite struct JSONValueTests {
    private func decode(_ text: String) throws -> JSONValue { try JSONText(text).decode() }

    @Test(arguments: [
        "null", "true", "-7", "9223372036854775807", "\"Größe \\\"x\\\" /\"", "[]", "{}",
        "[1,[null,{\"a\":{\"b\":\"c\"}}]]", "1.5",
    ])
    func `a value survives being read and written`(text: String) throws {
        let value = try decode(text)
        #expect(try decode(JSONText(encoding: value).text) == value)
    }

    @Test func `numbers keep what they are`() throws {
        #expect(try decode("1") == .integer(1))
        #expect(try decode("1.5") == .double(1.5))
        #expect(try decode("18446744073709551616") == .double(18_446_744_073_709_551_616))
        #expect(try decode("0") == .integer(0) && decode("false") == .bool(false))
    }

    @Test func `accessors answer only for their own kind`() throws {
        let value: JSONValue = ["name": "x", "count": 3, "share": 0.5, "on": true, "list": [1], "none": nil]
        #expect(value["name"]?.string == "x" && value["name"]?.integer == nil)
        #expect(value["count"]?.integer == 3 && value["count"]?.double == 3)
        #expect(value["share"]?.double == 0.5 && value["share"]?.integer == nil)
        #expect(JSONValue.double(4).integer == 4)
        #expect(value["on"]?.bool == true && value["list"]?.array == [1] && value["none"] == .null)
        #expect(value["missing"] == nil && value.object?.count == 6)
        #expect(JSONValue.array([1])["name"] == nil)
    }

    @Test func `objects are written with sorted keys and plain slashes`() throws {
        #expect(
            try JSONText(encoding: ["b": "https://x", "a": 1] as JSONValue).text == "{\"a\":1,\"b\":\"https://x\"}")
    }

    @Test func `text that is no JSON is refused`() {
        #expect(throws: DecodingError.self) { try decode("{\"a\":") }
    }
}
