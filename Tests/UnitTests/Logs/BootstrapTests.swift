import Glibc
import Logging
@testable import Logs
import Testing

struct BootstrapTests {
    @Test(
        arguments: [
            (.auto, true, true, .journal), (.auto, true, false, .journal), (.auto, false, true, .text),
            (.auto, false, false, .json), (.json, true, true, .json), (.text, true, false, .text),
            (.journal, false, false, .journal),
        ] as [(LogFormat, Bool, Bool, LogFormat)])
    func `the format follows standard error, unless one is named`(
        format: LogFormat, isJournal: Bool, isTerminal: Bool, result: LogFormat
    ) {
        #expect(format.resolved(isJournal: isJournal, isTerminal: isTerminal) == result)
    }

    @Test func `the level changes for loggers already made`() {
        let lines = Lines()
        let setting = LogLevelSetting(.info)
        let logger = Logger(label: "x") {
            BoundedLogHandler(JSONLogHandler(label: $0, sink: lines.sink), setting: setting)
        }
        logger.debug("1")
        setting.level = .debug
        logger.debug("2")
        setting.level = .error
        logger.warning("3")
        #expect(lines.all.count == 1)
        #expect(lines.all.first?.contains(#""message":"2""#) == true)
    }

    @Test func `a logger's own level is its own`() {
        let setting = LogLevelSetting(.info)
        let first = Logger(label: "x") { BoundedLogHandler(JSONLogHandler(label: $0), setting: setting) }
        var second = first
        second.logLevel = .trace
        setting.level = .critical
        #expect(first.logLevel == .critical)
        #expect(second.logLevel == .trace)
    }

    @Test(arguments: Logger.Level.allCases)
    func `every level can be set`(level: Logger.Level) {
        let setting = LogLevelSetting(.info)
        setting.level = level
        #expect(setting.level == level)
        #expect(LogLevelSetting(level).level == level)
    }

    @Test func `metadata passes through to the lines`() {
        let lines = Lines()
        var logger = Logger(label: "x") {
            BoundedLogHandler(JSONLogHandler(label: $0, sink: lines.sink), setting: LogLevelSetting(.info))
        }
        logger[metadataKey: "a"] = "1"
        logger.handler.metadataProvider = .init { ["b": "2"] }
        logger.info("m")
        #expect(lines.all.first?.hasSuffix(#""metadata":{"a":"1","b":"2"}}"# + "\n") == true)
    }

    @Test func `after the bootstrap every logger writes whole lines to standard error`() async {
        await #expect(processExitsWith: .success) {
            var descriptors: [Int32] = [-1, -1]
            pipe(&descriptors)
            let terminal = dup(STDERR_FILENO)
            dup2(descriptors[1], STDERR_FILENO)
            let level = bootstrap(format: .auto, level: .notice)
            let logger = Logger(label: "main")
            logger.info("unseen")
            logger.notice("seen")
            level.level = .info
            logger.info("seen too")
            dup2(terminal, STDERR_FILENO)
            close(descriptors[1])
            var buffer = [UInt8](repeating: 0, count: 65536)
            let count = read(descriptors[0], &buffer, buffer.count)
            let written = String(decoding: buffer[..<max(0, count)], as: UTF8.self).split(separator: "\n")
            #expect(written.count == 2)
            #expect(written.first?.contains(#""level":"notice","logger":"main","message":"seen"}"#) == true)
            #expect(written.last?.contains(#""message":"seen too"}"#) == true)
        }
    }

    @Test func `now is near the system's clock`() {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        #expect(abs(LogTime.utc().secondsSince1970 - now.tv_sec) <= 1)
        #expect(LogTime.local().secondsSince1970 - now.tv_sec <= 1)
    }

    @Test(arguments: [
        (0, 0, "1970-01-01T00:00:00.000Z", "00:00:00"), (951_782_399, 999, "2000-02-28T23:59:59.999Z", "00:59:59"),
        (4_102_444_799, 50, "2099-12-31T23:59:59.050Z", "00:59:59"),
    ])
    func `times are written in full`(seconds: Int, milliseconds: Int, text: String, clock: String) {
        let offset = seconds == 0 ? 0 : 3600
        let time = LogTime(secondsSince1970: seconds, milliseconds: milliseconds, utcOffsetSeconds: offset)
        #expect(time.rfc3339 == text)
        #expect(time.clock == clock)
    }
}
