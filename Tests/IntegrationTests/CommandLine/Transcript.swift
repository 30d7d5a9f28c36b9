import FoundationEssentials
import Support
import Testing

/// What people see: commands with all that they print, compared with a file of the folder `Golden`.
///
/// Times and what differs from run to run are made the same first. With `GOLDEN_REWRITE=1` the files are written anew;
/// look through the difference before it is committed.
struct Transcript {
    /// Workers that were heard of within two hours are alive: so their ages stay the same while a test runs.
    private static let environment = ["WORKER_STALE_AFTER_SECONDS": "7200"]

    private let database: TestDatabase?
    private var text = ""

    init(_ database: TestDatabase?) { self.database = database }

    /// Runs a command without a terminal.
    mutating func run(_ arguments: String..., environment: [String: String] = [:], input: String = "") async throws {
        let run = try await CommandRun.of(
            arguments: arguments, database: database,
            environment: Self.environment.merging(environment) { $1 }, input: input)
        add(arguments, run, isTerminal: false)
    }

    /// Asks for the help of a command.
    @discardableResult mutating func help(_ words: [String]) async throws -> CommandRun {
        let run = try await CommandRun.of(arguments: words + ["--help"])
        add(words + ["--help"], run, isTerminal: false)
        return run
    }

    /// Runs it in a terminal of 80 columns, coloured; colours are left out here.
    /// - Parameter isTable: Whether no line may be wider.
    mutating func show(_ arguments: String..., input: String = "", isTable: Bool = true) async throws {
        let run = try await CommandRun.terminal(
            arguments, database: database, environment: Self.environment, input: input)
        add(arguments, run, isTerminal: true, typed: input)
        guard isTable else { return }
        let widest = run.output.split(separator: "\n").map { Self.plain(String($0)).count }.max() ?? 0
        #expect(widest <= 80, "jobworker \(arguments.joined(separator: " ")) is \(widest) columns wide")
    }

    /// - Parameter typed: Stands in the output or not: the terminal may echo it before it is told to stop that.
    private mutating func add(_ arguments: [String], _ run: CommandRun, isTerminal: Bool, typed: String = "") {
        let words = arguments.map { word in
            word.allSatisfy { $0.isLetter || $0.isNumber || "-_.:/=@".contains($0) } ? word : "'\(word)'"
        }
        text += (isTerminal ? "[80 columns] " : "") + "$ jobworker " + words.joined(separator: " ") + "\n"
        var output = Self.plain(run.output)
        if !typed.isEmpty, output.hasPrefix(typed) { output.removeFirst(typed.count) }
        text += output
        if !output.isEmpty, !output.hasSuffix("\n") { text += "\n" }
        for line in run.error.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            text += "! \(line)\n"
        }
        if run.status != 0 { text += "[status \(run.status)]\n" }
        text += "\n"
    }

    /// Compares everything so far with the file.
    func matches(_ name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let folder = #filePath.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/Golden"
        let path = "\(folder)/\(name).txt"
        let found = normalised(text)
        if ProcessInfo.processInfo.environment["GOLDEN_REWRITE"] == "1" {
            try Data(found.utf8).write(to: URL(filePath: path))
            return
        }
        let expected = try String(contentsOfFile: path, encoding: .utf8)
        guard found != expected else { return }
        let lines = Self.difference(expected, found)
        Issue.record(
            "\(name).txt differs; GOLDEN_REWRITE=1 writes it anew:\n\(lines)", sourceLocation: sourceLocation)
    }

    private static func difference(_ expected: String, _ found: String) -> String {
        let old = expected.split(separator: "\n", omittingEmptySubsequences: false)
        let new = found.split(separator: "\n", omittingEmptySubsequences: false)
        var lines: [String] = []
        for change in new.difference(from: old) {
            switch change {
            case .remove(let offset, let line, _): lines.append("\(offset + 1) - \(line)")
            case .insert(let offset, let line, _): lines.append("\(offset + 1) + \(line)")
            }
        }
        return lines.prefix(60).joined(separator: "\n")
    }

    /// Without colours and what moves the cursor.
    private static func plain(_ text: String) -> String {
        text.replacing(/\u{1B}\[[0-9;?]*[A-Za-z]/, with: "").replacing("\r", with: "")
    }

    private func normalised(_ text: String) -> String {
        var text = text
        // As wide as before, so that tables stay aligned.
        text = text.replacing(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00/, with: "0000-00-00T00:00:00+00:00")
        text = Self.replacing(/\d{4}-\d\d-\d\d(T| |\n *)\d\d:\d\d:\d\d(\.\d+)?Z?/, in: text) { time in
            String(time.map { $0.isNumber ? "0" : $0 })
        }
        // Those of the sample begin with eight equal digits.
        text = Self.replacing(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/, in: text) { id in
            Set(id.prefix(8)).count == 1 ? String(id) : "????????-????-????-????-????????????"
        }
        text = Self.replacing(/--cursor [0-9]+\./, in: text) { String($0).replacing(/[0-9]/, with: "0") }
        text = text.replacing(/paused (now|[0-9]+ s ago) by/, with: "paused now by")
        text = text.replacing(/operator:[a-z0-9_-]+/, with: "operator:somebody")
        text = text.replacing(/whsec_[A-Za-z0-9+\/=]+/, with: "whsec_…")
        text = text.replacing(/\((now|[0-9]+ m?s ago)\)/, with: "(now)")
        text = text.replacing(/jobworker-commands-[0-9A-F-]+/, with: "jobworker-commands")
        if let database { text = text.replacing(database.name, with: "DATABASE") }
        return text
    }

    private static func replacing<Output>(
        _ pattern: Regex<Output>, in text: String, by replacement: (Substring) -> String
    ) -> String {
        var result = ""
        var rest = text.startIndex
        for match in text.matches(of: pattern) {
            result += text[rest..<match.range.lowerBound] + replacement(text[match.range])
            rest = match.range.upperBound
        }
        return result + text[rest...]
    }
}
