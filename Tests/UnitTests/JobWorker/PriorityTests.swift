import JobWorker
import Testing

@Suite struct PriorityTests {
    @Test(arguments: [("high", 5), ("Normal", 0), ("LOW", -5), ("-10", -10), ("10", 10), ("+3", 3)])
    func `words and numbers are read`(text: String, value: Int) {
        #expect(Priority(text: text)?.rawValue == value)
    }

    @Test(arguments: ["11", "-11", "urgent", "", "5.0", "99999999999999999999"])
    func `what lies outside of −10…10 is refused`(text: String) {
        #expect(Priority(text: text) == nil)
    }

    @Test func `higher is more urgent`() {
        #expect(Priority.low < .normal && .normal < .high)
        #expect(Priority(11) == nil && Priority(-11) == nil)
    }
}
