import Console
import Enrichment
import Testing

struct KeyNamesTests {
    @Test func `a new key can be used at once`() throws {
        let vault = try KeyVault(parsing: KeyNames.generate(id: "first") + "," + KeyNames.generate(id: nil))
        #expect(vault.currentKeyID == "first")
        #expect(vault.keyIDs.count == 2)
    }

    @Test(arguments: ["", "a b", "a:b", "a,b", String(repeating: "x", count: 33)])
    func `a name that couldn't be read again is refused`(id: String) {
        #expect(throws: Complaint.self) { try KeyNames.generate(id: id) }
    }
}
