import Postgres
import Subprocess
import Support
import Testing

@testable import Cron

/// Ten thousand random expressions, zones and moments, beside what croniter makes of them.
struct CroniterTests {
    private struct Question {
        let cron: String
        let zone: String
        let after: Int
    }

    /// Both sides agree on these only where no clock changes near by: croniter has rules of its own for that.
    private static let margin = 3 * 3600
    private static let count = 10_000
    private static let zones = [
        "UTC", "Europe/Berlin", "America/New_York", "America/Santiago", "Asia/Kathmandu", "Australia/Lord_Howe",
        "Europe/Dublin", "Africa/Casablanca",
    ]

    @Test func `croniter finds the same next times`() async throws {
        let python = try await CroniterTests.python()
        var generator = ExpressionGenerator(seed: 20_261_128)
        let questions = (0..<CroniterTests.count).map { _ in
            Question(
                cron: generator.expression(),
                zone: CroniterTests.zones[generator.number(0...CroniterTests.zones.count - 1)],
                // Ten years from 2020 on.
                after: 1_577_836_800 + generator.number(0...315_360_000))
        }
        let answers = try await CroniterTests.ask(python, questions)
        let rules = try CroniterTests.zones.reduce(into: [:]) { $0[$1] = try ZoneDirectory.system.rules(of: $1) }
        var compared = 0
        for (question, answer) in zip(questions, answers) {
            // Other tests wait for their turn.
            await Task.yield()
            let zone = try #require(rules[question.zone])
            let ours = Recurrence.cron(try CronExpression(question.cron), zone).next(after: question.after * 1_000_000)
            let next = try #require(ours, "\(question)") / 1_000_000
            guard ![question.after, answer, next].contains(where: { isNearChange($0, zone) }) else { continue }
            compared += 1
            #expect(
                next == answer,
                "\(question): ours \(Self.text(next)), croniter's \(Self.text(answer))")
        }
        #expect(compared > CroniterTests.count * 9 / 10)
    }

    private static func text(_ second: Int) -> String {
        Timestamp(microseconds: Int64(second) * 1_000_000).text(fractionDigits: 0)
    }

    private func isNearChange(_ moment: Int, _ zone: ZoneRules) -> Bool {
        let span = zone.span(at: moment)
        return (span.start != .min && moment - span.start < CroniterTests.margin)
            || (span.end != .max && span.end - moment < CroniterTests.margin)
    }

    // MARK: Python

    private static func ask(_ python: String, _ questions: [Question]) async throws -> [Int] {
        let input = questions.map { "\($0.cron)|\($0.zone)|\($0.after)\n" }.joined()
        let (status, output) = await run([python, "-c", script], input: input)
        try #require(status == 0, "\(output)")
        let answers = output.split(separator: "\n").compactMap { Int($0) }
        try #require(answers.count == questions.count)
        return answers
    }

    private static let script = """
        import sys, datetime, zoneinfo
        from croniter import croniter
        zoneinfo.reset_tzpath(to=["/usr/share/zoneinfo"])
        for line in sys.stdin:
            cron, zone, after = line.strip().split("|")
            start = datetime.datetime.fromtimestamp(int(after), zoneinfo.ZoneInfo(zone))
            print(int(croniter(cron, start).get_next(datetime.datetime).timestamp()))
        """

    /// A Python that has croniter, in an environment of its own beside the built programs.
    private static func python() async throws -> String {
        let folder = BuiltProgram.path("croniter-python")
        let python = "\(folder)/bin/python3"
        if await run([python, "-c", "import croniter"]).status == 0 { return python }
        let made = await run(["python3", "-m", "venv", "--clear", folder])
        if made.status != 0 { try Test.cancel("there is no python3 that can make an environment: \(made.output)") }
        let installed = await run([
            "timeout", "90", python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1",
            "croniter>=6",
        ])
        if installed.status != 0 { try Test.cancel("croniter can't be installed: \(installed.output.suffix(500))") }
        return python
    }

    /// - Returns: Status 127 where there is no such program.
    private static func run(_ command: [String], input: String = "") async -> (status: Int32, output: String) {
        do {
            let result = try await Subprocess.run(
                .name("env"), arguments: Arguments(command), input: .string(input), output: .string(limit: 4 << 20),
                error: .string(limit: 1 << 20))
            switch result.terminationStatus {
            case .exited(let code): return (code, code == 0 ? result.standardOutput : result.standardError)
            case .signaled(let signal): return (128 + signal, result.standardError)
            }
        } catch {
            return (127, "\(error)")
        }
    }
}

/// Draws cron expressions that every cron reads alike: SplitMix64, so a seed always draws the same.
struct ExpressionGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func expression() -> String {
        let minute = field(0...59, width: 40, names: [])
        let hour = field(0...23, width: 15, names: [])
        // Mostly one of the two.
        let days = number(0...5)
        let day = days < 3 ? "*" : field(1...28, width: 20, names: [])
        let weekday =
            days == 3 || days == 4
            ? "*" : field(0...6, width: 4, names: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])
        let month = number(0...3) > 0 ? "*" : field(1...12, width: 8, names: CronField.month.names)
        return [minute, hour, day, month, weekday].joined(separator: " ")
    }

    private mutating func field(_ range: ClosedRange<Int>, width: Int, names: [String]) -> String {
        switch number(0...6) {
        case 0: return "*"
        case 1: return "*/\(number(2...range.count / 2))"
        case 2: return span(range, width: width, names: names)
        case 3: return span(range, width: width, names: []) + "/\(number(2...5))"
        case 4: return "\(number(range.lowerBound...range.upperBound - 1))/\(number(2...range.count / 2))"
        case 5: return "\(value(range, names: names)),\(value(range, names: names))"
        default: return value(range, names: names)
        }
    }

    private mutating func span(_ range: ClosedRange<Int>, width: Int, names: [String]) -> String {
        let low = number(range.lowerBound...range.upperBound - 1)
        let high = number(low + 1...min(range.upperBound, low + width))
        guard !names.isEmpty, number(0...1) == 0 else { return "\(low)-\(high)" }
        return "\(names[low - range.lowerBound])-\(names[high - range.lowerBound])"
    }

    private mutating func value(_ range: ClosedRange<Int>, names: [String]) -> String {
        let value = number(range)
        return names.isEmpty || number(0...1) == 0 ? "\(value)" : names[value - range.lowerBound]
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        mixed ^= mixed >> 31
        return range.lowerBound + Int(mixed % UInt64(range.count))
    }
}
