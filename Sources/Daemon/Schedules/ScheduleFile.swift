import FoundationEssentials
import JobWorker
import YAML

/// A file of the folder `WORKER_SCHEDULES`: one schedule, or a list of them, with the names of the columns.
///
/// It says all about a schedule: what it leaves out is the usual. Only whether a schedule is paused stays as people have
/// set it, unless the file says so.
struct ScheduleFile {
    struct Entry {
        /// On which it begins.
        let line: Int
        let schedule: NamedSchedule
    }

    /// Why nothing of the file is taken.
    struct Problem: Error, Hashable {
        let line: Int?
        let text: String
    }

    let entries: [Entry]

    init(parsing yaml: String) throws(Problem) {
        let root: YAMLNode?
        do throws(YAMLError) {
            root = try YAMLNode.parse(yaml)
        } catch {
            let key = error.duplicateKey.map { ": '\($0.prefix(40))'" } ?? ""
            throw Problem(line: error.line, text: "\(error.problem)\(key)")
        }
        var entries: [Entry] = []
        switch root?.content {
        case nil, .nothing: break
        case .mapping(let pairs): entries = [try ScheduleFile.entry(pairs, line: root?.line ?? 1)]
        case .sequence(let nodes):
            for node in nodes {
                guard case .mapping(let pairs) = node.content else {
                    throw Problem(
                        line: node.line, text: "each schedule must be a mapping with name, workspace_id and so on")
                }
                entries.append(try ScheduleFile.entry(pairs, line: node.line))
            }
        case .scalar: throw Problem(line: root?.line, text: "must be a schedule or a list of schedules")
        }
        self.entries = entries
    }

    private static func entry(_ pairs: [YAMLNode.Pair], line: Int) throws(Problem) -> Entry {
        var reader = EntryReader()
        for pair in pairs { try reader.take(pair) }
        return Entry(line: line, schedule: try reader.schedule(line: line))
    }
}

/// Reads the members of one schedule, each with its line.
private struct EntryReader {
    private var name: String?
    private var workspaceID: UUID?
    private var changes: ScheduleChanges

    private static let known = [
        "name", "workspace_id", "job_type", "payload", "job_queue", "priority", "max_attempts", "timeout_seconds",
        "cron",
        "every_seconds", "timezone", "overlap", "catch_up", "enabled",
    ]

    init() {
        changes = ScheduleChanges()
        changes.payload = JSONText("{}")
        changes.queue = "default"
        changes.priority = 0
        changes.maxAttempts = 5
        changes.timeoutSeconds = .some(nil)
        changes.timeZone = "UTC"
        changes.overlap = .skip
        changes.catchUp = .one
    }

    mutating func take(_ pair: YAMLNode.Pair) throws(ScheduleFile.Problem) {
        let key = pair.key.text ?? ""
        let value = pair.value
        switch key {
        case "name": name = try text(value, key, 1...200)
        case "workspace_id":
            guard let id = value.text.flatMap({ UUID(uuidString: $0) }) else {
                throw wrong(value, key, "must be a UUID")
            }
            workspaceID = id
        case "job_type": changes.jobType = try text(value, key, 1...100)
        case "job_queue": changes.queue = try text(value, key, 1...50)
        case "payload": changes.payload = JSONText(try JSONWriter.text(of: value))
        case "priority":
            guard let priority = value.text.flatMap({ Priority(text: $0) }) else {
                throw wrong(value, key, "must be high, normal, low or a whole number from -10 to 10")
            }
            changes.priority = priority.rawValue
        case "max_attempts": changes.maxAttempts = try whole(value, key, 1...100)
        case "timeout_seconds":
            changes.timeoutSeconds = value.content == .nothing ? .some(nil) : try whole(value, key, 1...2_592_000)
        case "cron", "every_seconds":
            guard changes.pace == nil else { throw wrong(value, "cron", "and every_seconds exclude each other") }
            changes.pace =
                key == "cron"
                ? .cron(try text(value, key, 1...200))
                : .every(try whole(value, key, 1...ScheduleChanges.everySecondsMax))
        case "timezone": changes.timeZone = try text(value, key, 1...64)
        case "overlap": changes.overlap = try word(value, key)
        case "catch_up": changes.catchUp = try word(value, key)
        case "enabled":
            guard let word = value.text, ["true", "false"].contains(word) else {
                throw wrong(value, key, "must be true or false")
            }
            changes.isEnabled = word == "true"
        default:
            throw ScheduleFile.Problem(
                line: pair.key.line,
                text: "'\(key.prefix(40))' is not known; known are \(EntryReader.known.joined(separator: ", "))")
        }
        // What can only be judged as a whole is judged here, while its line is known.
        var alone = ScheduleChanges()
        switch key {
        case "cron": alone.pace = changes.pace
        case "timezone": alone.timeZone = changes.timeZone
        case "payload": alone.payload = changes.payload
        default: return
        }
        do throws(ScheduleRefusal) { try alone.check() } catch {
            throw wrong(value, key, error.description, isWhole: true)
        }
    }

    func schedule(line: Int) throws(ScheduleFile.Problem) -> NamedSchedule {
        guard let name, let workspaceID, changes.jobType != nil, changes.pace != nil else {
            var missing: [String] = []
            if name == nil { missing.append("name") }
            if workspaceID == nil { missing.append("workspace_id") }
            if changes.jobType == nil { missing.append("job_type") }
            if changes.pace == nil { missing.append("cron or every_seconds") }
            throw ScheduleFile.Problem(
                line: line, text: "the schedule lacks \(missing.joined(separator: ", "))")
        }
        return NamedSchedule(workspaceID: workspaceID, name: name, changes: changes)
    }

    private func text(
        _ node: YAMLNode, _ key: String, _ length: ClosedRange<Int>
    ) throws(ScheduleFile.Problem) -> String {
        guard let text = node.text, length.contains(text.unicodeScalars.count) else {
            throw wrong(node, key, "must be a text of \(length.lowerBound) to \(length.upperBound) characters")
        }
        return text
    }

    private func whole(
        _ node: YAMLNode, _ key: String, _ range: ClosedRange<Int>
    ) throws(ScheduleFile.Problem) -> Int {
        guard let number = node.text.flatMap({ Int($0) }), range.contains(number) else {
            throw wrong(node, key, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    private func word<Word: RawRepresentable<String> & CaseIterable>(
        _ node: YAMLNode, _ key: String
    ) throws(ScheduleFile.Problem) -> Word {
        guard let word = node.text.flatMap({ Word(rawValue: $0) }) else {
            throw wrong(node, key, "must be \(Word.allCases.map(\.rawValue).joined(separator: " or "))")
        }
        return word
    }

    private func wrong(
        _ node: YAMLNode, _ key: String, _ problem: String, isWhole: Bool = false
    ) -> ScheduleFile.Problem {
        ScheduleFile.Problem(line: node.line, text: isWhole ? "\(key): \(problem)" : "\(key) \(problem)")
    }
}

/// A YAML value as JSON: what isn't quoted may be a number, true, false or null.
private enum JSONWriter {
    static func text(of node: YAMLNode) throws(ScheduleFile.Problem) -> String {
        switch node.content {
        case .nothing: return "null"
        case .scalar(let text):
            return node.isPlain && (["true", "false"].contains(text) || isNumber(text)) ? text : try quoted(text, node)
        case .sequence(let nodes):
            var parts: [String] = []
            for node in nodes { parts.append(try self.text(of: node)) }
            return "[\(parts.joined(separator: ","))]"
        case .mapping(let pairs):
            var parts: [String] = []
            for pair in pairs {
                guard let key = pair.key.text else {
                    throw ScheduleFile.Problem(line: pair.key.line, text: "payload has a key that is no text")
                }
                parts.append("\(try quoted(key, pair.key)):\(try text(of: pair.value))")
            }
            return "{\(parts.joined(separator: ","))}"
        }
    }

    private static func quoted(_ text: String, _ node: YAMLNode) throws(ScheduleFile.Problem) -> String {
        guard !text.unicodeScalars.contains("\0"), let json = try? JSONText(encoding: text) else {
            throw ScheduleFile.Problem(line: node.line, text: "payload holds a character that JSON can't hold")
        }
        return json.text
    }

    /// As JSON writes one.
    private static func isNumber(_ text: String) -> Bool {
        var rest = Substring(text)
        func digits() -> Int {
            let found = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(found.count)
            return found.count
        }
        if rest.first == "-" { rest = rest.dropFirst() }
        let isZero = rest.first == "0"
        let count = digits()
        guard count > 0, !isZero || count == 1 else { return false }
        if rest.first == "." {
            rest = rest.dropFirst()
            guard digits() > 0 else { return false }
        }
        if rest.first == "e" || rest.first == "E" {
            rest = rest.dropFirst()
            if rest.first == "+" || rest.first == "-" { rest = rest.dropFirst() }
            guard (1...3).contains(digits()) else { return false }
        }
        return rest.isEmpty
    }
}
