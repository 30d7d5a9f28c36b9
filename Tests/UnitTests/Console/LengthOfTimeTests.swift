import Console
import Testing

struct LengthOfTimeTests {
    @Test(arguments: [
        ("90s", Duration.seconds(90)), ("10m", .seconds(600)), ("10min", .seconds(600)), ("1h30m", .seconds(5400)),
        ("2d", .seconds(172_800)), ("1w", .seconds(604_800)), ("250ms", .milliseconds(250)), ("0s", .zero),
    ])
    func `lengths are read with their units`(text: String, length: Duration) {
        #expect(LengthOfTime.parse(text) == length)
    }

    @Test(arguments: ["", "10", "m", "-5m", "1.5h", "5 m", "5x", "99999999999999999999s", "200000w", "1h30", "٣s"])
    func `anything else is refused`(text: String) {
        #expect(LengthOfTime.parse(text) == nil)
    }
}
