import Testing

@testable import JobWorker

@Suite struct PromptnessTests {
    @Test func `who comes in vain comes later and later, up to sixteen times, until it finds something`() {
        var promptness = Promptness()
        var pauses: [Duration] = []
        for _ in 0..<6 {
            pauses.append(promptness.stretched(.milliseconds(10)))
            promptness.looked(found: false)
        }
        #expect(pauses == [10, 20, 40, 80, 160, 160].map { .milliseconds($0) })
        promptness.looked(found: false, factorMax: 4)
        #expect(promptness.stretched(.milliseconds(10)) == .milliseconds(160))
        promptness.looked(found: true)
        #expect(promptness.stretched(.milliseconds(10)) == .milliseconds(10))
        for _ in 0..<6 { promptness.looked(found: false, factorMax: 4) }
        #expect(promptness.stretched(.milliseconds(10)) == .milliseconds(40))
    }
}
