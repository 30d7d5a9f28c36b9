import Testing

@testable import Console

struct JSONMembersTests {
    @Test func `members keep the text they were written with`() {
        let text =
            #" { "a" : 12345678901234567890.10 , "b":{"x":[1,{"y":"},"}]}, "c\"d": "q\\", "e": null,"a": true } "#
        #expect(
            JSONMembers.split(text) == [
                "a": "true", "b": #"{"x":[1,{"y":"},"}]}"#, "c\"d": #""q\\""#, "e": "null",
            ])
        #expect(JSONMembers.split(#"{"n": 12345678901234567890.10}"#) == ["n": "12345678901234567890.10"])
        #expect(JSONMembers.split("{}") == [:])
    }

    @Test(arguments: ["[1]", "1", "\"{\"", "null"])
    func `only an object has members`(text: String) {
        #expect(JSONMembers.split(text) == nil)
    }

    @Test(arguments: [
        "{\"a\":1,}", "[1,]", "[1,,2]", "[,1]", "{,}", "01", "-", "1.", ".5", "+1", "1e", "0x1", "NaN", "Infinity",
        "'a'", "{\"a\":1 \"b\":2}",
        "\"a\tb\"", "\"a\nb\"", "\"\\x\"", "tru", "{} {}", "[1] x", "/* c */ 1", "[1 // c\n]", "\"\\ud800\"", "{a:1}",
        "{\"a\"}", "{\"a\":}", "[", "\"", "\u{FEFF}{}",
        "{1:2}", "[1 2]", "{\"a\":1]", "\"\\u12g4\"", "1e400", "\u{C}1",
    ])
    func `what isn't JSON is refused`(text: String) {
        #expect(JSONMembers.problem(text) != nil)
    }

    @Test(arguments: [
        ("{x", true), ("", true), ("{\"a\":1,}", true), (#"{"a":["\u0000"]}"#, true), (#"{"a\u0000":1}"#, true),
        (#"{"a":"\\u0000"}"#, false), ("1", false), ("{}", false),
    ])
    func `what PostgreSQL can't store is found beforehand`(text: String, isRefused: Bool) {
        #expect((JSONMembers.problem(text) != nil) == isRefused)
    }
}
