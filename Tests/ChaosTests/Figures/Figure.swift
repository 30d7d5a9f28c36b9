/// One measured figure and what it should be.
struct Figure: Sendable {
    let title: String
    let goal: String
    let measured: String
    let isReached: Bool

    /// The largest of these times, against a limit.
    static func longest(_ title: String, _ seconds: [Double], atMost limit: Double) -> Figure {
        let sorted = seconds.sorted()
        let median = sorted.isEmpty ? 0 : sorted[sorted.count / 2]
        return Figure(
            title: title, goal: "at most \(limit) s",
            measured: "median \(hundredths(median)) s, longest \(hundredths(sorted.last ?? 0)) s of \(sorted.count)",
            isReached: !sorted.isEmpty && sorted.allSatisfy { $0 <= limit })
    }

    static func count(_ title: String, _ number: Int, goal: Int) -> Figure {
        Figure(title: title, goal: "\(goal)", measured: "\(number)", isReached: number == goal)
    }

    var line: String { "\(isReached ? "ok" : "FAILED") \(title): \(measured) (goal: \(goal))" }
}

func hundredths(_ seconds: Double) -> Double { (seconds * 100).rounded() / 100 }
