package import JobWorker
import Terminal

/// A schedule as somebody describes it in flags, before it is checked. What is `nil` was not given.
package struct ScheduleDraft: Sendable {
    private let type: String?
    private let cron: String?
    private let every: Duration?
    private let timeZone: String?
    private let payload: String?
    private let queue: String?
    private let priority: String?
    private let maxAttempts: Int?
    private let timeout: Duration?
    private let overlap: Schedule.Overlap?
    private let catchUp: Schedule.CatchUp?

    private static let timeoutMax = Duration.seconds(2_592_000)

    package init(
        type: String? = nil, cron: String? = nil, every: Duration? = nil, timeZone: String? = nil,
        payload: String? = nil, queue: String? = nil, priority: String? = nil, maxAttempts: Int? = nil,
        timeout: Duration? = nil, overlap: Schedule.Overlap? = nil, catchUp: Schedule.CatchUp? = nil
    ) {
        self.type = type
        self.cron = cron
        self.every = every
        self.timeZone = timeZone
        self.payload = payload
        self.queue = queue
        self.priority = priority
        self.maxAttempts = maxAttempts
        self.timeout = timeout
        self.overlap = overlap
        self.catchUp = catchUp
    }

    /// - Throws: All mistakes at once.
    package func changes() throws(Complaint) -> ScheduleChanges {
        var changes = ScheduleChanges()
        var mistakes: [String] = []
        for (text, name, longest) in [(type, "the job type", 100), (queue, "the queue", 50)] {
            guard let text, !(1...longest).contains(text.unicodeScalars.count) else { continue }
            mistakes.append("\(name) must have 1 to \(longest) characters")
        }
        (changes.jobType, changes.queue) = (type, queue)
        changes.pace = cron.map { .cron($0) }
        if let every {
            if every.components.attoseconds == 0, every >= .seconds(1) {
                changes.pace = .every(Int(every.components.seconds))
            } else {
                mistakes.append("--every must be whole seconds, from 1 s on")
            }
        }
        changes.timeZone = timeZone
        if let payload {
            if let problem = JSONMembers.problem(payload) { mistakes.append("the payload \(problem)") }
            changes.payload = JSONText(payload)
        }
        if let priority {
            changes.priority = Priority(text: priority)?.rawValue
            if changes.priority == nil {
                mistakes.append("the priority must be high, normal, low or a whole number from -10 to 10")
            }
        }
        changes.maxAttempts = maxAttempts
        if let maxAttempts, !(1...100).contains(maxAttempts) { mistakes.append("--max-attempts must be from 1 to 100") }
        if let timeout {
            if timeout < .seconds(1) || timeout > ScheduleDraft.timeoutMax || timeout.components.attoseconds != 0 {
                mistakes.append("the time-out must be whole seconds, from 1 s to 30 days")
            }
            changes.timeoutSeconds = Int(timeout.components.seconds)
        }
        (changes.overlap, changes.catchUp) = (overlap, catchUp)
        do throws(ScheduleRefusal) { try changes.check() } catch { mistakes.append(error.description) }
        guard mistakes.isEmpty else {
            let sentences =
                mistakes.count == 1
                ? mistakes[0] : "the schedule can't be written:" + mistakes.map { "\n  \($0)" }.joined()
            throw Complaint(.usage, sentences, advice: "Nothing was changed.")
        }
        return changes
    }
}
