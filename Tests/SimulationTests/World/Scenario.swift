import Support

/// The sizes and limits of one history, in milliseconds. Far smaller than in production, in the same proportions.
struct Scenario {
    let workers: Int
    let slots: Int
    let jobs: Int
    let staleAfter: Int
    let heartbeatInterval: Int
    let pollInterval: Int
    /// Longest wait for an answer of the database, as the client sees it.
    let answerTimeout: Int
    let jobTimeout: Int
    let grace: Int
    let shutdownTimeout: Int
    let delays: JobsTable.Delays
    /// Faults happen until then; afterwards everything works.
    let healsAt: Int
    /// Nothing fails at all, no notification is lost: then jobs must also start promptly.
    let isFaultless: Bool
    /// Shares of statements, in percent.
    let refused: Int
    let unknown: Int
    let slow: Int

    init(_ dice: inout Dice) {
        workers = dice.number(1...3)
        slots = dice.number(1...3)
        jobs = dice.number(1...6)
        staleAfter = dice.happens(50) ? 20_000 : 32_000
        heartbeatInterval = staleAfter / 8
        pollInterval = dice.happens(50) ? 3000 : 5000
        // Half of them far beyond what production allows: a margin too small shows when answers are late.
        answerTimeout = dice.happens(50) ? staleAfter / 4 : staleAfter
        jobTimeout = dice.time(8000...20_000)
        grace = 2000
        shutdownTimeout = dice.time(1000...6000)
        delays = JobsTable.Delays(base: dice.time(1000...4000), max: 10_000)
        isFaultless = dice.happens(10)
        healsAt = isFaultless ? 30_000 : dice.time(30_000...110_000)
        refused = isFaultless ? 0 : dice.number(0...6)
        unknown = isFaultless ? 0 : dice.number(0...10)
        slow = isFaultless ? 0 : dice.number(0...10)
    }
}
