/// When something recurs: by a cron expression in a time zone, or every so many seconds.
///
/// All moments are microseconds since 1970-01-01T00:00:00Z.
package enum Recurrence: Sendable, Hashable {
    case cron(CronExpression, ZoneRules)
    /// Seconds, counted on from the tick before.
    case every(Int)

    /// The moments that are counted with: of the years 1970 to 2199, as the table's check allows.
    package static let span = 0...7_258_118_400_000_000
    private static let second = 1_000_000

    /// - Throws: `CronError`.
    package init(
        cron: String?, everySeconds: Int?, timeZone: String, zones: ZoneDirectory = .system
    ) throws(CronError) {
        let rules = try zones.rules(of: timeZone)
        switch (cron, everySeconds) {
        case (let cron?, nil): self = .cron(try CronExpression(cron), rules)
        case (nil, let seconds?):
            guard seconds > 0, seconds <= Int(Int32.max) else { throw CronError("every_seconds must be above 0") }
            self = .every(seconds)
        default: throw CronError("give either cron or every_seconds")
        }
    }

    /// The first tick after a moment: for an interval, after the tick that the moment is.
    /// - Returns: `nil` where there is none for years, and for a moment outside of the span.
    package func next(after moment: Int) -> Int? {
        guard Recurrence.span.contains(moment) else { return nil }
        return step(after: moment).flatMap { Recurrence.span.contains($0) ? $0 : nil }
    }

    private func step(after moment: Int) -> Int? {
        switch self {
        case .every(let seconds): return moment + seconds * Recurrence.second
        case .cron(let expression, let zone):
            let seconds = floorDivide(moment, Recurrence.second)
            let next =
                expression.namesHours
                ? Recurrence.nextByWall(expression, zone, after: seconds)
                : Recurrence.nextByElapsed(expression, zone, after: seconds)
            return next.map { $0 * Recurrence.second }
        }
    }

    /// The next ticks, in order; fewer where there are no more.
    package func upcoming(_ count: Int, after moment: Int) -> [Int] {
        var ticks: [Int] = []
        var last = moment
        while ticks.count < count, let next = next(after: last) {
            ticks.append(next)
            last = next
        }
        return ticks
    }

    /// What the wall clock's changes skip comes once, right after them; what they repeat comes the first time.
    private static func nextByWall(_ expression: CronExpression, _ zone: ZoneRules, after moment: Int) -> Int? {
        var wall = floorDivide(moment + zone.span(at: moment).offset, 60)
        // The times of the wall clock come in the order of their moments, so the first one that is later is it.
        while let found = expression.next(from: wall) {
            let next = zone.moment(ofWall: found * 60)
            if next > moment { return next }
            wall = found + 1
        }
        return nil
    }

    /// Whenever the wall clock shows a time that matches.
    private static func nextByElapsed(_ expression: CronExpression, _ zone: ZoneRules, after moment: Int) -> Int? {
        var start = moment + 1
        while true {
            let span = zone.span(at: start)
            // Rounded up to the next whole minute of the wall clock.
            guard let found = expression.next(from: floorDivide(start + span.offset + 59, 60)) else { return nil }
            let next = found * 60 - span.offset
            if next < span.end { return next }
            start = span.end
        }
    }

    /// The ticks that have come since the last look.
    package struct Due: Sendable, Hashable {
        /// The latest of them, in order.
        package let ticks: [Int]
        /// Whether there were more before those.
        package let isCut: Bool
        /// The first one that is still to come.
        package let next: Int?
    }

    /// - Parameters:
    ///   - first: The earliest tick that may be due; one outside of the span counts as its nearest end.
    ///   - count: At most so many are told, the latest; above 0.
    package func due(from first: Int, through now: Int, atMost count: Int) -> Due {
        let first = min(max(first, Recurrence.span.lowerBound), Recurrence.span.upperBound)
        guard first <= now else { return Due(ticks: [], isCut: false, next: first) }
        if case .every(let seconds) = self {
            let step = seconds * Recurrence.second
            let passed = (now - first) / step
            let ticks = (max(0, passed - count + 1)...passed).map { first + $0 * step }
            return Due(ticks: ticks, isCut: passed >= count, next: next(after: first + passed * step))
        }
        // After a long absence there may be millions: look back only as far as it takes.
        var window = 60 * Recurrence.second * count
        while true {
            let isWhole = now - first <= window
            var ticks = isWhole ? [first] : []
            var next = next(after: isWhole ? first : now - window)
            while let tick = next, tick <= now {
                ticks.append(tick)
                next = self.next(after: tick)
            }
            if ticks.count >= count || isWhole {
                return Due(ticks: Array(ticks.suffix(count)), isCut: !isWhole || ticks.count > count, next: next)
            }
            window *= 8
        }
    }
}
