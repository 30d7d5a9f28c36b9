package import Postgres

/// Where due jobs may be: the priorities of each queue that are known to hold some, and how far each was seen.
///
/// Jobs of one lane become due one after another, so what was seen isn't looked at again: neither the dead versions
/// of jobs claimed since an old snapshot began, nor jobs that nobody here serves. What comes in behind what was seen is
/// announced with its due time, or found by the timer's look, which sees everything. A value.
package struct DueLanes: Sendable {
    private typealias Place = ClaimRequest.Place

    private struct Lane: Hashable {
        let queue: String
        let priority: Int
    }

    /// `nil`: nothing of it was seen yet.
    private var seen: [Lane: Place?] = [:]
    /// The same for looks that left these types out, as enough of their jobs ran: what they passed over is still to be seen
    /// once there is room for it, and isn't walked past again until then.
    private var seenWithout: (types: Set<String>, places: [Lane: Place?]) = ([], [:])
    /// Announced since a look last took in what was.
    private var announced: [Lane: Place?] = [:]
    /// The database's clock, and between which moments here it was so.
    private var clock: (database: Timestamp, asked: ContinuousClock.Instant, answered: ContinuousClock.Instant)?

    /// Transactions that take longer until they commit may insert behind what was seen.
    private static let margin = Duration.seconds(1)
    /// Lanes that are kept in mind; beyond, the timer finds the jobs.
    private static let lanesMax = 1000

    package init() {}

    /// Jobs of this lane have become due, the first of them at this time.
    package mutating func hear(_ announcement: DueAnnouncement) {
        guard let (queue, priority, due) = announcement.place else { return }
        let lane = Lane(queue: queue, priority: priority)
        guard seen.count + announced.count < DueLanes.lanesMax || seen[lane] != nil else { return }
        let place = due.map { Place(due: $0) }
        announced[lane] = .some(DueLanes.earlier(announced[lane] ?? place, place))
    }

    /// Where a look that begins now has to look.
    /// - Parameter types: Left out of it.
    package mutating func asked(without types: Set<String> = []) -> [ClaimRequest.Lane] {
        for (lane, due) in announced {
            seen[lane] = .some(DueLanes.earlier(seen[lane] ?? due, due))
            seenWithout.places[lane] = .some(DueLanes.earlier(seenWithout.places[lane] ?? due, due))
        }
        announced = [:]
        if !types.isEmpty, types != seenWithout.types { seenWithout = (types, seen) }
        let places = types.isEmpty ? seen : seenWithout.places
        return places.map { ClaimRequest.Lane(queue: $0.queue, priority: $0.priority, from: $1) }
    }

    /// A look at everything found these lanes.
    package mutating func discovered(
        _ lanes: [ClaimRequest.Lane], at time: Timestamp, askedAt: ContinuousClock.Instant, now: ContinuousClock.Instant
    ) {
        clock = (time, askedAt, now)
        (seen, seenWithout) = ([:], ([], [:]))
        for lane in lanes.prefix(DueLanes.lanesMax) {
            seen[Lane(queue: lane.queue, priority: lane.priority)] = .some(nil)
        }
    }

    /// These lanes hold something, besides those that are known.
    mutating func learned(_ lanes: [ClaimRequest.Lane]) {
        for lane in lanes where seen.count < DueLanes.lanesMax {
            let lane = Lane(queue: lane.queue, priority: lane.priority)
            if seen[lane] == nil { seen[lane] = .some(nil) }
            if seenWithout.places[lane] == nil { seenWithout.places[lane] = .some(nil) }
        }
    }

    /// A look at these lanes, begun at `askedAt`, brought these jobs.
    package mutating func looked(for request: ClaimRequest, claimed: [ClaimedJob], askedAt: ContinuousClock.Instant) {
        // Those passed over now may be taken by a later look.
        guard request.takesSuspect, !claimed.contains(where: \.isSuspect), !request.isFullOfType(claimed), let clock
        else { return }
        // Early rather than late, however long the answer took: what lies before it is passed over.
        let end = Place(due: clock.database.advanced(by: askedAt - clock.answered - DueLanes.margin))
        if request.fullTypes.isEmpty {
            seen = places(seen, after: request, claimed, end)
            return
        }
        // One at everything begins with what is found.
        if request.lanes == nil { seenWithout = (request.fullTypes, seen) }
        if request.fullTypes == seenWithout.types {
            seenWithout.places = places(seenWithout.places, after: request, claimed, end)
        }
    }

    /// What of the lanes was seen after this look, before which it was `places`.
    /// - Parameter end: How far a look sees that finds nothing more.
    private func places(
        _ places: [Lane: Place?], after request: ClaimRequest, _ claimed: [ClaimedJob], _ end: Place
    ) -> [Lane: Place?] {
        var seen = places
        let free = Dictionary(request.queues.map { ($0.name, $0.free) }) { first, _ in first }
        let byQueue = Dictionary(grouping: claimed, by: \.job.queue)
        let others = claimed.count { free[$0.job.queue] == nil }
        let asked = request.lanes ?? seen.keys.map { .init(queue: $0.queue, priority: $0.priority, from: nil) }
        for part in asked {
            let lane = Lane(queue: part.queue, priority: part.priority)
            // What was told meanwhile to lie further back isn't seen by this look.
            guard let before = seen[lane], DueLanes.earlier(before, part.from) == part.from else { continue }
            let found = byQueue[lane.queue] ?? []
            let share = min(free[lane.queue] ?? free["*"] ?? 0, request.limit)
            // The queues behind '*' share one cap.
            let isCut = (free[lane.queue] == nil ? others : found.count) >= share || claimed.count >= request.limit
            // Lanes of lower priority were not looked at, or not to their end.
            guard let lowest = found.map(\.job.priority).min() else {
                if !isCut { seen[lane] = .some(DueLanes.later(before, end)) }
                continue
            }
            if !isCut || lane.priority > lowest {
                seen[lane] = .some(DueLanes.later(before, end))
            } else if lane.priority == lowest,
                let last = found.filter({ $0.job.priority == lowest }).map({ Place(due: $0.job.dueAt, id: $0.job.id) })
                    .max()
            {
                seen[lane] = .some(DueLanes.later(before, last))
            }
        }
        return seen
    }

    /// The look failed. One that began after it may have passed over rows that it had locked, and seen what lies behind.
    mutating func failed(_ request: ClaimRequest) {
        for part in request.lanes ?? [] {
            let lane = Lane(queue: part.queue, priority: part.priority)
            // Whatever the others bring: the next look begins there.
            announced[lane] = .some(announced[lane].map { DueLanes.earlier($0, part.from) } ?? part.from)
        }
    }

    /// When the database's clock will show this time, or a little before; `nil` before the first look at everything.
    func moment(of time: Timestamp) -> ContinuousClock.Instant? {
        clock.map { $0.asked + time.duration(since: $0.database) }
    }

    /// `nil` is the earliest.
    private static func earlier(_ left: Place?, _ right: Place?) -> Place? {
        guard let left, let right else { return nil }
        return min(left, right)
    }

    private static func later(_ left: Place?, _ right: Place) -> Place {
        left.map { max($0, right) } ?? right
    }
}
