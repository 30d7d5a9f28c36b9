package import JobWorker
import Terminal

/// Shows jobs on standard error while somebody waits for them; nothing where that is no terminal.
@MainActor
package final class ProgressDisplay {
    private let output = Output.error
    private var frame = LiveFrame()

    package init() {}

    package func show(_ jobs: [JobSummary]) {
        guard output.isTerminal else { return }
        output.write(frame.drawing(JobListView(jobs).text(for: .of(output)), height: output.height))
    }

    /// Takes the display away again.
    package func clear() {
        guard output.isTerminal else { return }
        output.write(frame.drawing("", height: nil))
    }
}
