import Terminal
import Testing

struct TimeWordsTests {
    @Test(arguments: [
        (Duration.microseconds(420), "0.4 ms"), (.milliseconds(9), "9.0 ms"), (.milliseconds(35), "35 ms"),
        (.milliseconds(1234), "1.2 s"), (.milliseconds(9999), "9.9 s"), (.seconds(45), "45 s"), (.seconds(60), "1 min"),
        (.seconds(200), "3 min 20 s"), (.seconds(7500), "2 h 5 min"), (.seconds(273_600), "3 d 4 h"), (.zero, "0.0 ms"),
        (.seconds(-45), "-45 s"),
    ])
    func `a duration is said in two units at most`(duration: Duration, words: String) {
        #expect(duration.words == words)
    }

    @Test(arguments: [
        (Duration.milliseconds(300), "now"), (.seconds(59), "59 s ago"), (.seconds(119), "1 min ago"),
        (.seconds(7199), "1 h ago"), (.seconds(86_400 * 3 + 5), "3 d ago"),
    ])
    func `what has passed is cut`(duration: Duration, words: String) {
        #expect(duration.agoWords == words)
    }

    @Test(arguments: [
        (Duration.milliseconds(-1), "in 1 s"), (.milliseconds(-599_900), "in 10 min"), (.seconds(-59), "in 59 s"),
        (.seconds(-3590), "in 1 h"), (.seconds(-86_399), "in 1 d"), (.seconds(-90), "in 2 min"),
    ])
    func `what is to come is rounded`(duration: Duration, words: String) {
        #expect(duration.agoWords == words)
    }
}
