package import JobWorker
package import Terminal

/// What a change of jobs would do: how many there are, and some of them.
package struct ForeseenView: View {
    private let sample: [JobSummary]
    private let count: Int
    private let verb: String
    private let isDryRun: Bool

    /// - Parameters:
    ///   - verb: `cancel`.
    ///   - isDryRun: Whether it is only told, and not asked about.
    package init(_ sample: [JobSummary], count: Int, verb: String, isDryRun: Bool) {
        self.isDryRun = isDryRun
        self.sample = sample
        self.count = count
        self.verb = verb
    }

    package func text(for screen: Screen) -> String {
        guard count > 0 else { return "No job matches: there is nothing to \(verb).\n" }
        let table = JobListView(sample).text(for: screen.indented)
        let more = count > sample.count ? "  … and \(count - sample.count) more\n" : ""
        return "This \(isDryRun ? "would" : "will") \(verb) \(count) job\(count == 1 ? "" : "s"):\n"
            + table.split(separator: "\n").map { "  \($0)\n" }.joined() + more
    }

    package var json: JSON {
        .object([
            ("dry_run", .bool(true)), ("matched", .integer(count)), ("changed", .integer(0)),
            ("sample", .array(sample.map(\.json))),
        ])
    }
}
