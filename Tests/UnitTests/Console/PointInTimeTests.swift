import Console
import Glibc
import Postgres
import Testing

struct PointInTimeTests {
    @Test(arguments: [
        ("2026-03-02T08:15:00Z", "2026-03-02T08:15:00.000Z"), ("2026-03-02t08:15:00z", "2026-03-02T08:15:00.000Z"),
        ("2026-03-02 09:15:00.5+01:00", "2026-03-02T08:15:00.500Z"),
    ])
    func `a time with its zone is exact`(text: String, time: String) {
        #expect(PointInTime.parse(text)?.description == time)
    }

    @Test(arguments: ["2026-03-02 08:15", "2026-03-02T08:15", "2026-03-02 08:15:00"])
    func `a time without a zone is this machine's`(text: String) throws {
        let time = try #require(PointInTime.parse(text))
        var seconds = time_t(time.microseconds / 1_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        #expect(
            [parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min] == [2026, 3, 2, 8, 15])
    }

    @Test(arguments: ["00:00", "12:34", "23:59:59"])
    func `a time of day is the next one`(text: String) throws {
        let now = 1_772_439_300
        let time = try #require(PointInTime.parse(text, now: now))
        let ahead = time.microseconds / 1_000_000 - Int64(now)
        // A day of a clock change has an hour more.
        #expect((1...90_000).contains(ahead))
    }

    @Test(arguments: [
        "", "tomorrow", "2026-02-30 08:15", "2026-13-01 08:15", "24:00", "8:15", "08:60", "2026-03-02", "infinity",
        "2026-03-02 08:15 ", "2026-03-02_08:15",
    ])
    func `anything else is refused`(text: String) {
        #expect(PointInTime.parse(text) == nil)
    }
}
