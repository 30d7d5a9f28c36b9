/// One of the five fields of a cron expression: what may stand in it, and how it is read.
struct CronField {
    let name: String
    let range: ClosedRange<Int>
    /// Names for values, from the field's lowest on.
    var names: [String] = []
    /// Names only for days of the week and months: their ranges may go round.
    var isCircular: Bool { !names.isEmpty }

    static let minute = CronField(name: "minute", range: 0...59)
    static let hour = CronField(name: "hour", range: 0...23)
    static let day = CronField(name: "day-of-month", range: 1...31)
    static let month = CronField(
        name: "month", range: 1...12,
        names: ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"])
    /// 0 and 7 are Sunday.
    static let weekday = CronField(
        name: "day-of-week", range: 0...7, names: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])
    static let all = [minute, hour, day, month, weekday]

    /// A field as it was read.
    struct Values: Sendable, Hashable {
        /// Bit n stands for the value n.
        var bits: UInt64 = 0
        /// `L`: the last day of the month.
        var hasLastDay = false
        /// `5L`: the last Friday of the month, as bit 5.
        var lastWeekdays: UInt64 = 0
        /// Not simply `*`.
        var isGiven = true
        /// Every part is `*` or a step of it.
        var isWildcard = true
    }

    func read(_ text: String) throws(CronError) -> Values {
        var values = Values()
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard !part.isEmpty else { throw wrong(text, "has an empty place between commas") }
            try read(part, of: text, into: &values)
        }
        if self.range.upperBound == 7, values.bits & 1 << 7 != 0 {
            values.bits = values.bits & ~(1 << 7) | 1
        }
        values.isGiven = !["*", "?", "*/1"].contains(text)
        return values
    }

    private func read(_ part: Substring, of text: String, into values: inout Values) throws(CronError) {
        if try readLast(part, of: text, into: &values) { return }
        let pieces = part.split(separator: "/", omittingEmptySubsequences: false)
        guard pieces.count <= 2, let span = pieces.first else {
            throw wrong(text, "has more than one '/' in '\(part)'")
        }
        var step: Int?
        if pieces.count == 2 {
            guard let number = CronField.number(pieces[1]), number > 0 else {
                throw wrong(text, "needs a number above 0 after the '/' of '\(part)'")
            }
            step = number
        }
        if span == "*" || (span == "?" && step == nil && isDay) {
            // Day 7 of the week is day 0 once more.
            let high = range.upperBound == 7 ? 6 : range.upperBound
            values.add(stride(from: range.lowerBound, through: high, by: step ?? 1))
            return
        }
        values.isWildcard = false
        let ends = span.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count <= 2 else { throw wrong(text, "has more than one '-' in '\(part)'") }
        let low = try value(ends[0], of: text)
        guard ends.count == 2 else {
            // '5/10' goes on to the field's end.
            let end = step == nil ? low : range.upperBound == 7 ? max(low, 6) : range.upperBound
            values.add(stride(from: low, through: end, by: step ?? 1))
            return
        }
        var high = try value(ends[1], of: text)
        // FRI-SUN ends with the week.
        if range.upperBound == 7, high == 0, low > 0 { high = 7 }
        if low <= high {
            values.add(stride(from: low, through: high, by: step ?? 1))
        } else if isCircular {
            let size = range.upperBound == 7 ? 7 : range.count
            for number in stride(from: low, through: high + size, by: step ?? 1) {
                values.add((number - range.lowerBound) % size + range.lowerBound)
            }
        } else {
            throw wrong(
                text, "goes backwards in '\(span)': write '\(low)-\(range.upperBound),\(range.lowerBound)-\(high)'")
        }
    }

    private var isDay: Bool { range.lowerBound == 1 && range.upperBound == 31 || range.upperBound == 7 }

    /// `L` of days, `5L` and `FRIL` of weekdays.
    private func readLast(_ part: Substring, of text: String, into values: inout Values) throws(CronError) -> Bool {
        guard part.last == "L" else { return false }
        values.isWildcard = false
        if range.upperBound == 31, part == "L" {
            values.hasLastDay = true
            return true
        }
        guard range.upperBound == 7 else { return false }
        guard part.count > 1 else { throw wrong(text, "needs a day before 'L': FRIL is the last Friday of the month") }
        values.lastWeekdays |= 1 << UInt64(try value(part.dropLast(), of: text) % 7)
        return true
    }

    private func value(_ word: Substring, of text: String) throws(CronError) -> Int {
        if let index = names.firstIndex(of: String(word)) { return range.lowerBound + index }
        guard let number = CronField.number(word) else {
            let what = names.isEmpty ? "a number" : "a number or one of \(names.joined(separator: " "))"
            throw wrong(text, word.isEmpty ? "lacks a value" : "has '\(word)', which is not \(what)")
        }
        guard range.contains(number) else {
            throw wrong(text, "has \(number), outside \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    private func wrong(_ text: String, _ problem: String) -> CronError {
        CronError("the \(name) field '\(text)' \(problem)")
    }

    /// At most four digits.
    private static func number(_ text: Substring) -> Int? {
        guard (1...4).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int(text)
    }
}

extension CronField.Values {
    mutating func add(_ number: Int) { bits |= 1 << UInt64(number) }

    mutating func add(_ numbers: some Sequence<Int>) { for number in numbers { add(number) } }

    func contains(_ number: Int) -> Bool { bits & 1 << UInt64(number) != 0 }

    /// The lowest value from `number` on.
    func next(from number: Int) -> Int? {
        guard number < 64 else { return nil }
        let rest = bits >> UInt64(number)
        return rest == 0 ? nil : number + rest.trailingZeroBitCount
    }
}
