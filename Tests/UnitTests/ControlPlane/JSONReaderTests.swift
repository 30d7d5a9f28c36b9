import Testing

@testable import ControlPlane

@Suite struct JSONReaderTests {
    private func read(_ text: String) throws -> JSONNode { try JSONReader.read(Array(text.utf8)) }

    private func fault(_ text: String) -> JSONFault? {
        do throws(JSONFault) {
            _ = try JSONReader.read(Array(text.utf8))
            return nil
        } catch { return error }
    }

    @Test(arguments: [
        "null", "true", "false", "0", "-0", "1.50", "-12.5e+7", "1E-300", "12345678901234567890.123456789", #""""#,
        #""a\"b\\c""#, "[]", "{}", #"[1,[2,{"a":null}],"x"]"#, #"{"b":1,"a":2,"b":3}"#, #""é😀""#,
    ])
    func `JSON comes out as it went in, digit by digit`(text: String) throws {
        #expect(try read(text).text == text)
        #expect(try read(" \t\r\n" + text + " ").text == text)
    }

    @Test func `escapes become characters`() throws {
        #expect(try read(#""\u0041\u00e9\ud83d\ude00\/\b\f\n\r\t""#) == .string("Aé😀/\u{8}\u{C}\n\r\t"))
        #expect(try read(#""\u0001""#).text == #""\u0001""#)
    }

    @Test(arguments: [
        "", " ", "nul", "nulll", "True", "01", "1.", ".5", "+1", "1e", "1e+", "--1", "0x1", "NaN", "Infinity", "'a'",
        #"""#, #""a"#, #""\x""#, #""\u12""#, "\"\n\"", "[", "[1", "[1,]", "[,1]", "[1 2]", "{", #"{"a"}"#, #"{"a":}"#,
        #"{"a":1,}"#, "{a:1}", #"{"a":1 "b":2}"#, "1 2", "[]]", "\u{FEFF}1", "//\n1", "\u{0}",
    ])
    func `what is no JSON is unreadable`(text: String) {
        guard case .unreadable? = fault(text) else {
            Issue.record("\(text) was read, or refused otherwise")
            return
        }
    }

    @Test func `bytes that are no UTF-8 are unreadable`() {
        #expect(throws: JSONFault.self) { try JSONReader.read([0x22, 0xFF, 0x22]) }
        #expect(throws: JSONFault.self) { try JSONReader.read([0x22, 0xED, 0xA0, 0x80, 0x22]) }
    }

    @Test(arguments: [
        #""\u0000""#, #"{"a\u0000":1}"#, #""\ud800""#, #""\udc00""#, #""\ud800\u0041""#, #""\ud800x""#, "1e401",
        "1e100000", "1e99999999999999999999", String(repeating: "1", count: 401),
    ])
    func `what PostgreSQL would not store, or only at length, is refused before it is asked`(text: String) {
        guard case .unstorable? = fault(text) else {
            Issue.record("\(text.prefix(40)) was read, or refused otherwise")
            return
        }
    }

    @Test func `sixty-four levels are read, one more is not, nor a hundred thousand`() {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(fault(nested(65)) == nil)
        for depth in [66, 100_000] {
            guard case .unstorable? = fault(nested(depth)) else {
                Issue.record("\(depth) levels were read")
                continue
            }
        }
    }
}
