import Testing

@testable import Settings

struct SecretTests {
    private let canary = "canary-4711"

    @Test func `a secret shows a mask however it is printed`() {
        let secret = Secret(canary)
        var dumped = ""
        dump(secret, to: &dumped)
        dump([secret], to: &dumped)
        let printed = ["\(secret)", String(describing: secret), String(reflecting: secret), "\([secret])", dumped]
        for text in printed {
            #expect(text.contains("•••"))
            #expect(!text.contains(canary))
        }
    }

    @Test func `a secret lends its text and its bytes`() {
        let secret = Secret("pä")
        #expect(secret.withText { $0 == "pä" })
        #expect(secret.withBytes { Array($0) } == Array("pä".utf8))
        #expect(secret.byteCount == 3)
        #expect(Secret("").withText { $0.isEmpty })
    }

    @Test(arguments: [("ab", "ab", true), ("ab", "ac", false), ("ab", "abc", false), ("", "", true)])
    func `secrets are equal if all their bytes are`(left: String, right: String, isEqual: Bool) {
        #expect((Secret(left) == Secret(right)) == isEqual)
    }

    @Test func `a secret can't be encoded`() {
        #expect(!((Secret(canary) as Any) is any Encodable))
    }
}
