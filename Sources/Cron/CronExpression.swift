/// A cron expression: minute, hour, day of month, month, day of week; or `@daily` and the like.
///
/// Where day of month and day of week are both given, either is enough. It knows nothing of zones: see `Recurrence`.
package struct CronExpression: Sendable, Hashable {
    package let text: String
    private let minute: CronField.Values
    private let hour: CronField.Values
    private let day: CronField.Values
    private let month: CronField.Values
    private let weekday: CronField.Values

    private static let shorthands = [
        "@HOURLY": "0 * * * *", "@DAILY": "0 0 * * *", "@MIDNIGHT": "0 0 * * *", "@WEEKLY": "0 0 * * 0",
        "@MONTHLY": "0 0 1 * *", "@YEARLY": "0 0 1 1 *", "@ANNUALLY": "0 0 1 1 *",
    ]
    private static let lengthMax = 200
    /// There is a 29 February at least every eight years.
    private static let yearsMax = 9

    /// - Throws: `CronError`, naming the field.
    package init(_ text: String) throws(CronError) {
        self.text = text
        guard text.utf8.count <= CronExpression.lengthMax else {
            throw CronError("the cron expression is longer than \(CronExpression.lengthMax) bytes")
        }
        let upper = text.uppercased()
        var fields = upper.split { $0 == " " || $0 == "\t" }.map(String.init)
        if fields.count == 1, fields[0].hasPrefix("@") {
            guard let meaning = CronExpression.shorthands[fields[0]] else {
                throw CronError(
                    """
                    '\(text)' is not known: write @hourly, @daily, @weekly, @monthly, @yearly or five fields; \
                    for a fixed interval give every_seconds instead
                    """)
            }
            fields = meaning.split(separator: " ").map(String.init)
        }
        guard fields.count == 5 else {
            throw CronError(
                """
                '\(text)' has \(fields.count) field\(fields.count == 1 ? "" : "s"): a cron expression has five: \
                minute, hour, day of month, month, day of week
                """)
        }
        minute = try CronField.minute.read(fields[0])
        hour = try CronField.hour.read(fields[1])
        day = try CronField.day.read(fields[2])
        month = try CronField.month.read(fields[3])
        weekday = try CronField.weekday.read(fields[4])
        guard weekday.isGiven || day.hasLastDay || (1...12).contains(where: hasDay) else {
            throw CronError("the day-of-month field '\(fields[2])' names no day of the months '\(fields[3])'")
        }
    }

    private func hasDay(ofMonth number: Int) -> Bool {
        guard month.contains(number), let first = day.next(from: 1) else { return false }
        return first <= Calendar.days(in: number, of: 2000)
    }

    /// Whether its hours are named: then the wall clock counts, and a change of the clocks neither loses nor doubles
    /// a time. `*` and its steps go by the time that passes.
    package var namesHours: Bool { !hour.isWildcard }

    /// The first time from `minute` on, both in minutes of the wall clock since 1970-01-01 00:00.
    /// - Returns: `nil` where there is none for years.
    func next(from minute: Int) -> Int? {
        var number = floorDivide(minute, Calendar.minutesPerDay)
        let inDay = minute - number * Calendar.minutesPerDay
        var date = Calendar.date(ofDay: number)
        let lastYear = date.year + CronExpression.yearsMax
        if matches(date, number), let time = time(from: inDay) { return number * Calendar.minutesPerDay + time }
        while date.year <= lastYear {
            let length = Calendar.days(in: date.month, of: date.year)
            if date.day < length, month.contains(date.month) {
                date.day += 1
                number += 1
            } else {
                number += length - date.day + 1
                date = Calendar.Date(
                    year: date.month == 12 ? date.year + 1 : date.year, month: date.month % 12 + 1, day: 1)
            }
            if matches(date, number), let time = time(from: 0) { return number * Calendar.minutesPerDay + time }
        }
        return nil
    }

    private func matches(_ date: Calendar.Date, _ number: Int) -> Bool {
        guard month.contains(date.month) else { return false }
        let length = Calendar.days(in: date.month, of: date.year)
        let isDay = day.contains(date.day) || (day.hasLastDay && date.day == length)
        let name = Calendar.weekday(ofDay: number)
        let isWeekday =
            weekday.contains(name) || (weekday.lastWeekdays & 1 << UInt64(name) != 0 && date.day + 7 > length)
        if day.isGiven, weekday.isGiven { return isDay || isWeekday }
        return isDay && isWeekday
    }

    /// The first minute of the day from `start` on.
    private func time(from start: Int) -> Int? {
        guard let first = hour.next(from: start / 60) else { return nil }
        if first == start / 60, let found = minute.next(from: start % 60) { return first * 60 + found }
        guard let next = first > start / 60 ? first : hour.next(from: first + 1), let found = minute.next(from: 0)
        else { return nil }
        return next * 60 + found
    }
}
