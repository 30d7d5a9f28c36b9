import Testing

@testable import Postgres

@Suite struct ArrayTextTests {
    private static let lists: [[String?]] = [
        [], ["a"], [""], ["", ""], [nil], ["NULL"], ["null", nil, "a"], ["a,b", "{c}", "d e"], ["\"", "\\", "\\\""],
        ["Größe", "日本", "👩‍🔧"], ["line\nend\ttab"],
    ]

    @Test(arguments: lists) func `an array survives being written and read`(elements: [String?]) {
        #expect(ArrayText.decode(ArrayText.encode(elements)) == elements)
    }

    @Test(arguments: [
        ("{}", [] as [String?]), ("{a,b}", ["a", "b"]), ("{NULL,\"NULL\"}", [nil, "NULL"]),
        ("{\"a\\\"b\",\"c\\\\d\"}", ["a\"b", "c\\d"]), ("{1,-2}", ["1", "-2"]),
    ])
    func `the server's form is read`(text: String, elements: [String?]) {
        #expect(ArrayText.decode(text) == elements)
    }

    @Test(arguments: [
        "", "{", "}", "a", "{a", "{a}b", "{}b", "{\"a}", "{\"a\\", "{{1},{2}}", "{a\"b}", "{a,b", "[1:2]={1,2}",
    ])
    func `what is not an array of one dimension is refused`(text: String) {
        #expect(ArrayText.decode(text) == nil)
    }

    @Test func `an array of numbers refuses NULL and words`() {
        #expect([Int](postgresText: "{1,2}") == [1, 2])
        #expect([Int](postgresText: "{1,NULL}") == nil)
        #expect([Int](postgresText: "{1,two}") == nil)
    }
}
