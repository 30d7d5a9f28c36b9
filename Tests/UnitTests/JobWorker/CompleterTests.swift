import Testing

@testable import JobWorker

@Suite struct CompleterTests {
    @Test(arguments: [
        (1, 16), (16, 16), (50, 25), (51, 26), (128, 64), (192, 64), (193, 65), (500, 167), (749, 250), (5000, 250),
    ])
    func `a statement holds the outcomes of half of the slots, of many a third, and never very many`(
        slots: Int, most: Int
    ) {
        #expect(Completer.batchLimit(slots: slots) == most)
    }
}
