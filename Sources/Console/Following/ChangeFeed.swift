package import JobWorker
import FoundationEssentials

/// Tells which jobs have changed since the last look, for a watch that prints a line a change.
package struct ChangeFeed: Sendable {
    private struct State: Equatable {
        let status: String?
        let attempts: Int
        let percentage: Double?
        let message: String?
    }

    private var known: [UUID: State] = [:]

    package init() {}

    /// - Returns: New ones and changed ones, in the order given.
    package mutating func changes(in jobs: [JobSummary]) -> [JobSummary] {
        var states: [UUID: State] = [:]
        let changed = jobs.filter { job in
            let state = State(
                status: job.status, attempts: job.attempts, percentage: job.percentage, message: job.progressMessage)
            states[job.id] = state
            return known[job.id] != state
        }
        known = states
        return changed
    }
}
