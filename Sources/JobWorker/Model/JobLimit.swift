package import FoundationEssentials

/// How much of a job type, of a workspace, or of a type in a workspace may run at once, or start in a time, over all
/// processes.
package struct JobLimit: Sendable, Hashable {
    package var name: String
    /// `nil` for every type.
    package var jobType: String?
    /// `nil` for every workspace.
    package var workspaceID: UUID?
    /// Counted for each workspace by itself.
    package var isForEachWorkspace = false
    /// `nil` for any number.
    package var maxRunning: Int?
    package var rate: Rate?

    /// Starts in a time.
    package struct Rate: Sendable, Hashable {
        package var starts: Int
        /// From a second to a day.
        package var period: Duration
        /// At once after a quiet time; `nil` for as many as a second gives, at least one.
        package var burst: Int?

        package init(starts: Int, period: Duration, burst: Int? = nil) {
            self.starts = starts
            self.period = period
            self.burst = burst
        }
    }

    package init(name: String) { self.name = name }

    /// Whether it doesn't say what it holds, or how much of it.
    package var isIncomplete: Bool {
        (jobType == nil && workspaceID == nil && !isForEachWorkspace) || (maxRunning == nil && rate == nil)
    }

    /// What is wrong with it, as a sentence without a full stop; `nil` where it makes sense.
    package var mistake: String? {
        if !(1...100).contains(name.unicodeScalars.count) { return "a limit's name has 1 to 100 characters" }
        if jobType == nil, workspaceID == nil, !isForEachWorkspace {
            return "a limit holds a job type, a workspace, or each workspace"
        }
        if maxRunning == nil, rate == nil { return "a limit says how many run at once, or how many start in a time" }
        if let rate {
            if !(1...1_000_000).contains(rate.starts) { return "a rate is from 1 to 1000000" }
            if rate.period < .seconds(1) || rate.period > .seconds(86_400) {
                return "the time of a rate is from a second to a day"
            }
            if let burst = rate.burst, !(1...1_000_000).contains(burst) { return "a burst is from 1 to 1000000" }
        }
        return nil
    }
}

/// A limit, and how it stands.
package struct JobLimitStatus: Sendable, Hashable {
    package let limit: JobLimit
    /// Running jobs that it counts, over all workspaces.
    package let running: Int
}
