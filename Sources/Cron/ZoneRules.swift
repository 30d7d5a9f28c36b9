/// How far a zone's wall clock is from UTC, and when that changes: what a TZif file (RFC 9636) holds.
package struct ZoneRules: Sendable, Hashable {
    /// A time of one offset.
    struct Span {
        /// In seconds since 1970; the extremes where there is no bound.
        let start: Int
        let end: Int
        /// Seconds east of Greenwich.
        let offset: Int
    }

    package static let utc = ZoneRules(first: 0, changes: [], tail: nil)

    /// The offset before the first change.
    private let first: Int
    private let changes: [Change]
    /// What follows the last change.
    private let tail: PosixZone?

    struct Change: Sendable, Hashable {
        /// In seconds since 1970.
        let at: Int
        /// From then on.
        let offset: Int
    }

    init(first: Int, changes: [Change], tail: PosixZone?) {
        self.first = first
        self.changes = changes
        self.tail = tail
    }

    /// Seconds east of Greenwich at a moment, in seconds since 1970.
    package func offset(at moment: Int) -> Int { span(at: moment).offset }

    /// The time of one offset around a moment.
    func span(at moment: Int) -> Span {
        if let last = changes.last, moment < last.at || tail == nil { return known(at: moment) }
        guard let tail else { return Span(start: .min, end: .max, offset: first) }
        let lastKnown = changes.last
        var (start, offset) = (lastKnown?.at ?? .min, lastKnown?.offset ?? first)
        guard tail.summer != nil else { return Span(start: start, end: .max, offset: tail.offset) }
        let year = Calendar.date(ofDay: floorDivide(moment, 86_400)).year
        for change in (year - 1...year + 1).flatMap(tail.changes) where change.at > start {
            if change.at > moment { return Span(start: start, end: change.at, offset: offset) }
            (start, offset) = (change.at, change.offset)
        }
        return Span(start: start, end: .max, offset: offset)
    }

    private func known(at moment: Int) -> Span {
        var (low, high) = (0, changes.count)
        while low < high {
            let middle = (low + high) / 2
            if changes[middle].at <= moment { low = middle + 1 } else { high = middle }
        }
        return Span(
            start: low == 0 ? .min : changes[low - 1].at, end: low == changes.count ? .max : changes[low].at,
            offset: low == 0 ? first : changes[low - 1].offset)
    }

    /// When the wall clock shows this: the first time where it does so twice, the end of the gap where it never does.
    /// - Parameter wall: In seconds since 1970-01-01 00:00 of the wall clock.
    func moment(ofWall wall: Int) -> Int {
        // Offsets are less than 16 hours; a zone that changed sides of the date line jumped by 24.
        var span = span(at: wall - 26 * 3600)
        while true {
            let moment = wall - span.offset
            if moment < span.start { return span.start }
            if moment < span.end { return moment }
            span = self.span(at: span.end)
        }
    }
}

/// The rule at a TZif file's end, as POSIX writes it: `CET-1CEST,M3.5.0,M10.5.0/3`.
struct PosixZone: Sendable, Hashable {
    /// Seconds east of Greenwich.
    let offset: Int
    let summer: Summer?

    struct Summer: Sendable, Hashable {
        let offset: Int
        let begin: Day
        let end: Day
    }

    /// A day of each year, and a time of the wall clock on it.
    struct Day: Sendable, Hashable {
        enum Form: Sendable, Hashable {
            /// 1…365, 29 February never counted.
            case julian(Int)
            /// 0…365.
            case zeroBased(Int)
            /// Week 5 is the last.
            case weekday(month: Int, week: Int, weekday: Int)
        }
        let form: Form
        /// Seconds; may lie on another day.
        let time: Int

        /// In seconds since 1970-01-01 00:00 of the wall clock.
        func wall(of year: Int) -> Int {
            let newYear = Calendar.dayNumber(year: year, month: 1, day: 1)
            let number =
                switch form {
                case .julian(let day): newYear + day - 1 + (Calendar.isLeap(year) && day >= 60 ? 1 : 0)
                case .zeroBased(let day): newYear + day
                case .weekday(let month, let week, let weekday):
                    PosixZone.Day.dayNumber(year: year, month: month, week: week, weekday: weekday)
                }
            return number * 86_400 + time
        }

        private static func dayNumber(year: Int, month: Int, week: Int, weekday: Int) -> Int {
            let first = Calendar.dayNumber(year: year, month: month, day: 1)
            var day = floorModulo(weekday - Calendar.weekday(ofDay: first), 7) + (week - 1) * 7
            if day >= Calendar.days(in: month, of: year) { day -= 7 }
            return first + day
        }
    }

    /// The two changes that the rule has for a year, the earlier first.
    func changes(of year: Int) -> [ZoneRules.Change] {
        guard let summer else { return [] }
        return [
            ZoneRules.Change(at: summer.begin.wall(of: year) - offset, offset: summer.offset),
            ZoneRules.Change(at: summer.end.wall(of: year) - summer.offset, offset: offset),
        ].sorted { $0.at < $1.at }
    }

    /// - Returns: `nil` for what is no such rule.
    init?(_ text: Substring) {
        var rest = text
        guard PosixZone.skipName(&rest), let west = PosixZone.time(&rest, hoursMax: 24) else { return nil }
        offset = -west
        guard !rest.isEmpty else {
            summer = nil
            return
        }
        guard PosixZone.skipName(&rest) else { return nil }
        var summerOffset = offset + 3600
        if rest.first != "," {
            guard let west = PosixZone.time(&rest, hoursMax: 24) else { return nil }
            summerOffset = -west
        }
        guard let begin = PosixZone.day(&rest), let end = PosixZone.day(&rest), rest.isEmpty else { return nil }
        summer = Summer(offset: summerOffset, begin: begin, end: end)
    }

    private static func skipName(_ rest: inout Substring) -> Bool {
        if rest.first == "<" {
            guard let end = rest.firstIndex(of: ">") else { return false }
            rest = rest[rest.index(after: end)...]
            return true
        }
        let name = rest.prefix { $0.isASCII && $0.isLetter }
        rest = rest.dropFirst(name.count)
        return name.count >= 3
    }

    private static func number(_ rest: inout Substring, max: Int) -> Int? {
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        guard (1...3).contains(digits.count), let number = Int(digits), number <= max else { return nil }
        rest = rest.dropFirst(digits.count)
        return number
    }

    private static func skip(_ character: Character, _ rest: inout Substring) -> Bool {
        guard rest.first == character else { return false }
        rest = rest.dropFirst()
        return true
    }

    /// `[+-]hh[:mm[:ss]]`, in seconds.
    private static func time(_ rest: inout Substring, hoursMax: Int) -> Int? {
        let isNegative = skip("-", &rest)
        if !isNegative { _ = skip("+", &rest) }
        guard let hours = number(&rest, max: hoursMax) else { return nil }
        var seconds = hours * 3600
        if skip(":", &rest) {
            guard let minutes = number(&rest, max: 59) else { return nil }
            seconds += minutes * 60
            if skip(":", &rest) {
                guard let more = number(&rest, max: 59) else { return nil }
                seconds += more
            }
        }
        return isNegative ? -seconds : seconds
    }

    /// `,M3.5.0/2`, `,J60` or `,59`.
    private static func day(_ rest: inout Substring) -> Day? {
        guard skip(",", &rest) else { return nil }
        let form: Day.Form
        if skip("M", &rest) {
            guard let month = number(&rest, max: 12), month > 0, skip(".", &rest), let week = number(&rest, max: 5),
                week > 0, skip(".", &rest), let weekday = number(&rest, max: 6)
            else { return nil }
            form = .weekday(month: month, week: week, weekday: weekday)
        } else if skip("J", &rest) {
            guard let day = number(&rest, max: 365), day > 0 else { return nil }
            form = .julian(day)
        } else {
            guard let day = number(&rest, max: 365) else { return nil }
            form = .zeroBased(day)
        }
        guard skip("/", &rest) else { return Day(form: form, time: 7200) }
        guard let time = time(&rest, hoursMax: 167) else { return nil }
        return Day(form: form, time: time)
    }
}
