import FoundationEssentials
import Postgres
import Testing

@Suite struct UUIDTextTests {
    @Test func `text and value agree with Foundation's`() {
        for _ in 0..<1000 {
            let id = UUID()
            #expect(id.text == id.uuidString.lowercased())
            #expect(UUID(postgresText: id.uuidString) == id)
            #expect(UUID(postgresText: id.text) == id)
        }
    }

    @Test(arguments: [
        "", "0", "00000000-0000-0000-0000-00000000000", "00000000-0000-0000-0000-0000000000000",
        "0000000000000000000000000000000000000", "00000000-0000-0000-0000_000000000000",
        "g0000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-00000000000-",
        "{00000000-0000-0000-0000-000000000000}", "00000000-0000-0000-0000-0000000000é0",
    ])
    func `other texts are none`(text: String) {
        #expect(UUID(postgresText: text) == nil)
    }
}
