package import Enrichment
package import Terminal

/// How far a rotation has come, on one line of standard error.
@MainActor
package final class RotationProgress {
    /// Of a rotation that came to its end.
    package var result: KeyRotation.Report?
    private var last: KeyRotation.Report?
    private let output: Output

    package init(output: Output = .error) { self.output = output }

    package func show(_ report: KeyRotation.Report) {
        last = report
        guard report.found > 0 else { return }
        if output.isTerminal {
            output.write("\r\(report.done) of \(report.found)\u{1B}[K")
            if report.done >= report.found { output.write("\n") }
        } else if report.done > 0 {
            output.line("\(report.done) of \(report.found)")
        }
    }

    /// What was done when it was stopped.
    package var interruption: Complaint {
        let done = last?.rotated ?? 0, found = last?.found ?? 0
        return Complaint(
            .interrupted, "stopped: \(done) of \(found) keys are encrypted anew, and stay so",
            advice: "Every key can be read meanwhile. 'jobworker keys rotate' goes on with the rest; keep the older "
                + "encryption keys until it has.")
    }
}
