package import FoundationEssentials
package import Postgres

/// What a notification says of jobs that have become due. Anybody may send one: a hint, never a fact.
package enum DueAnnouncement: Sendable, Hashable {
    case lane(queue: String, priority: Int, due: Timestamp?)
    /// The same, of one job alone.
    case job(UUID, queue: String, priority: Int, due: Timestamp)
    /// A job becomes due at this time.
    case later(queue: String, priority: Int, due: Timestamp)
    /// Anything anywhere.
    case unknown

    /// - Parameter payload: As `jobworker.wake` and `jobworker.announce_inserted` write it: priority, due time in
    ///   microseconds since 1970, queue; before them "at" where that time is to come, "job" and its id where it is one.
    package init(payload: String) {
        let isLater = payload.hasPrefix("at ")
        var words = payload.dropFirst(isLater ? 3 : 0)
        var id: UUID?
        if words.hasPrefix("job "), let named = UUID(postgresText: String(words.dropFirst(4).prefix(36))) {
            id = named
            words = words.dropFirst(41)
        }
        let parts = words.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let priority = Int(parts[0]), let microseconds = Int64(parts[1]),
            // What the database couldn't read back from a claim.
            (0..<253_402_300_800_000_000).contains(microseconds)
        else {
            self = .unknown
            return
        }
        let (queue, due) = (String(parts[2]), Timestamp(microseconds: microseconds))
        if isLater {
            self = .later(queue: queue, priority: priority, due: due)
        } else if let id {
            self = .job(id, queue: queue, priority: priority, due: due)
        } else {
            self = .lane(queue: queue, priority: priority, due: due)
        }
    }

    /// Where jobs are due, and since when; `nil` where it tells of a time to come, or of anything anywhere.
    package var place: (queue: String, priority: Int, due: Timestamp?)? {
        switch self {
        case .lane(let queue, let priority, let due): (queue, priority, due)
        case .job(_, let queue, let priority, let due): (queue, priority, due)
        case .later, .unknown: nil
        }
    }

    /// The one job that it is about.
    var job: UUID? { if case .job(let id, _, _, _) = self { id } else { nil } }
}
