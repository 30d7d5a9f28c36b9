import Console
import Doctor
import Terminal
import Testing

struct FindingsViewTests {
    private let findings: [Finding] = [
        .ok("schema", "is this program's"), .warn("job types", "two jobs have no worker", advice: "Start one."),
    ]

    @Test func `findings line up, with what to do below`() {
        #expect(
            FindingsView(findings).text(for: .plain) == """
                ok    schema     is this program's
                warn  job types  two jobs have no worker
                                 → Start one.

                """)
    }

    @Test func `long sentences are broken between words`() {
        let lines = FindingsView([.fail("x", "one two three four five six")])
            .text(for: Screen(width: 29, palette: .plain)).split(separator: "\n")
        #expect(lines == ["fail  x  one two three four", "         five six"])
    }

    @Test func `only a failure is unhealthy`() {
        #expect(FindingsView(findings).isHealthy)
        #expect(!FindingsView(findings + [.fail("a", "b")]).isHealthy)
    }
}
