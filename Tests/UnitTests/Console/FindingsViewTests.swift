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

                1 warning.

                """)
    }

    @Test func `long sentences are broken between words`() {
        let lines = FindingsView([.fail("x", "one two three four five six")])
            .text(for: Screen(width: 29, palette: .plain)).split(separator: "\n")
        #expect(lines == ["fail  x  one two three four", "         five six", "1 failure."])
    }

    @Test func `the sum stands at the foot`() {
        func foot(_ findings: [Finding]) -> Substring? {
            FindingsView(findings).text(for: .plain).split(separator: "\n").last
        }
        #expect(foot([.ok("a", "b")]) == "All is well.")
        #expect(foot([.fail("a", "b"), .fail("a", "b"), .warn("a", "b")]) == "2 failures, 1 warning.")
    }

    @Test func `what keeps everything else from being looked at decides the exit status`() {
        func status(_ findings: Finding...) -> Console.ExitStatus { FindingsView(findings).status }
        #expect(status(.ok("a", "b")) == .done && status(.warn("a", "b")) == .done)
        #expect(status(.fail("a", "b")) == .failed)
        #expect(status(.fail("a", "b", obstacle: .unreachable), .fail("a", "b")) == .unreachable)
        #expect(status(.fail("a", "b", obstacle: .refused)) == .refused)
        #expect(status(.fail("a", "b", obstacle: .badSettings)) == .badConfiguration)
    }

    @Test func `only a failure is unhealthy`() {
        #expect(FindingsView(findings).isHealthy)
        #expect(!FindingsView(findings + [.fail("a", "b")]).isHealthy)
    }
}
