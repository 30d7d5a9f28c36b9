import Logging
@testable import Logs
import Support
import Synchronization
import Testing

struct LogLimiterTests {
    private let clock = SteeredClock()
    private let lines = Lines()
    private let limiter: LogLimiter

    init() {
        let clock = clock
        limiter = LogLimiter(burst: 3, perSecond: 2, exempt: ["vital"], now: { clock.now })
    }

    private var logger: Logger {
        Logger(label: "x") {
            BoundedLogHandler(
                JSONLogHandler(label: $0, sink: lines.sink), setting: LogLevelSetting(.info), limiter: limiter)
        }
    }

    private func storm(_ count: Int, _ text: Logger.Message = "failed", metadata: Logger.Metadata? = nil) {
        for _ in 0..<count { logger.error(text, metadata: metadata) }
    }

    @Test func `of a storm the first lines are written and the rest counted`() {
        storm(1000)
        #expect(lines.all.count == 3)
        clock.pass(.seconds(10))
        #expect(
            limiter.omissions() == [
                LogLimiter.Omission(level: .error, text: "failed", messageID: nil, count: 997, span: .seconds(10))
            ])
        #expect(limiter.omissions(all: true).isEmpty)
    }

    @Test func `a storm that lasts is written at its rate`() {
        for _ in 0..<100 {
            storm(50)
            clock.pass(.milliseconds(100))
        }
        // Three at once, then two a second for ten seconds.
        #expect((22...23).contains(lines.all.count))
    }

    @Test func `after a rest the whole burst may come again`() {
        storm(10)
        clock.pass(.seconds(60))
        storm(10)
        #expect(lines.all.count == 6)
    }

    @Test func `the first line of another kind is written in the midst of a storm`() {
        storm(1000)
        logger.error("another place")
        logger.warning("another level")
        #expect(lines.all.count == 5)
    }

    @Test func `what tells of the process's life is always written`() {
        storm(100, metadata: ["message_id": "vital"])
        #expect(lines.all.count == 100)
        #expect(limiter.nextOmission == nil)
    }

    @Test func `lines for finding a mistake are all written, where they are wanted`() {
        var tracing = logger
        tracing.logLevel = .trace
        for level in [Logger.Level.trace, .debug] {
            for _ in 0..<100 { tracing.log(level: level, "x") }
        }
        #expect(lines.all.count == 200)
        #expect(limiter.nextOmission == nil)
    }

    @Test func `lines below the level don't count`() {
        var strict = logger
        strict.logLevel = .error
        for _ in 0..<100 { strict.warning("x") }
        #expect(limiter.nextOmission == nil)
    }

    @Test func `nothing is told before its time, unless all is asked for`() {
        storm(4, metadata: ["message_id": "abc"])
        clock.pass(.seconds(9))
        #expect(limiter.omissions().isEmpty)
        #expect(limiter.nextOmission == clock.now + .seconds(1))
        #expect(
            limiter.omissions(all: true) == [
                LogLimiter.Omission(level: .error, text: "failed", messageID: "abc", count: 1, span: .seconds(9))
            ])
        #expect(limiter.nextOmission == nil)
    }

    @Test func `who tells of it hears when lines begin to be left out`() async {
        storm(3)
        storm(1)
        storm(1000)
        var beginnings = limiter.beginnings.makeAsyncIterator()
        #expect(await beginnings.next() != nil)
        #expect(limiter.omissions(all: true).map(\.count) == [1001])
    }

    @Test func `lines that nobody would read are left out and counted, whatever their level`() {
        let isClogged = Mutex(true)
        var logger = Logger(label: "x") {
            BoundedLogHandler(
                JSONLogHandler(label: $0, sink: lines.sink), setting: LogLevelSetting(.debug), limiter: limiter,
                isClogged: { isClogged.withLock { $0 } })
        }
        logger.logLevel = .debug
        logger.debug("seen through")
        for _ in 0..<2 { logger.error("failed") }
        #expect(lines.all.isEmpty)
        logger.error("2 more", metadata: ["message_id": "vital"])
        #expect(lines.all.count == 1)
        #expect(limiter.omissions(all: true).map { "\($0.count) \($0.text)" } == ["2 failed", "1 seen through"])
        isClogged.withLock { $0 = false }
        logger.error("failed")
        #expect(lines.all.count == 2)
    }
}
