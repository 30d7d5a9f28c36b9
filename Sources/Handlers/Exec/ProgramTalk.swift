import JobWorker

/// What a program tells of one attempt while it works, on descriptor 3 and on standard error.
struct ProgramTalk {
    private let context: JobContext
    private var rows = 0
    private var rowsLeftOut = 0
    private var hasComplained = false
    /// The time after which the job is to be tried again, as `{"retry_in": …}` says.
    private(set) var retryIn: Duration?
    /// The attempt no longer owns the job.
    private(set) var isOver = false

    /// Of the 1000 that an attempt has, some are the worker's own.
    static let rowsMax = 900

    init(_ context: JobContext) { self.context = context }

    /// Stores log rows, and the last progress among the lines.
    mutating func take(_ items: [Mailbox.Item]) async {
        var progress: JSONValue?
        for case .line(let stream, let line) in items {
            switch stream {
            case .error: await log(.info, line.text)
            case .channel: await take(channel: line, &progress)
            case .output: break
            }
        }
        if let progress { await report(progress) }
    }

    /// Says what was left out.
    mutating func finish(errorLinesLeftOut: Int = 0, leftBehind: Int = 0, isUnclean: Bool = false) async {
        let missing = rowsLeftOut + errorLinesLeftOut
        if missing > 0 { await store(.warn, "\(missing) more lines of the program's output were left out") }
        if isUnclean {
            await store(.error, "Processes that the program left behind could not be ended")
        } else if leftBehind > 0 {
            await store(.info, "Processes that the program left behind were ended: \(leftBehind)")
        }
    }

    private mutating func take(channel line: LineSplitter.Line, _ progress: inout JSONValue?) async {
        guard line.missing == 0, let value: JSONValue = try? JSONText(line.text).decode(), let members = value.object
        else { return await complain() }
        var isKnown = false
        if let told = members["progress"], told.object != nil {
            progress = told
            isKnown = true
        }
        if let entry = members["log"], let message = entry["message"]?.string {
            isKnown = true
            var metadata = entry.object ?? [:]
            metadata["message"] = nil
            metadata["level"] = nil
            await log(ProgramTalk.level(entry["level"]?.string), message, metadata)
        }
        if let seconds = members["retry_in"]?.double, seconds >= 0, seconds < 1e9 {
            isKnown = true
            retryIn = .seconds(seconds)
        }
        if !isKnown { await complain() }
    }

    /// `info` for what isn't known.
    static func level(_ word: String?) -> JobLogLevel {
        switch word?.lowercased() {
        case "debug", "trace": .debug
        case "warn", "warning": .warn
        case "error", "critical", "fatal": .error
        default: .info
        }
    }

    private mutating func complain() async {
        guard !hasComplained else { return }
        hasComplained = true
        await log(
            .warn,
            "A line on descriptor 3 is not understood; expected is {\"progress\":{…}}, {\"log\":{…}} or {\"retry_in\":…}"
        )
    }

    private mutating func report(_ progress: JSONValue) async {
        var details: [String: Int] = [:]
        for (key, value) in progress.object ?? [:] where key != "percentage" {
            if let number = value.integer { details[key.withoutNUL] = Int(number) }
        }
        let percentage = progress["percentage"]?.double ?? 0
        do {
            try await context.progress(
                Int(min(100, max(0, percentage.isNaN ? 0 : percentage))),
                (progress["message"]?.string ?? "").withoutNUL, details: details)
        } catch is CancellationError {
            isOver = true
        } catch {
            // Progress is worth no attempt: the next one may get through.
        }
    }

    private mutating func log(_ level: JobLogLevel, _ message: String, _ metadata: [String: JSONValue] = [:]) async {
        guard rows < ProgramTalk.rowsMax else {
            rowsLeftOut += 1
            return
        }
        rows += 1
        await store(level, message, metadata)
    }

    private mutating func store(_ level: JobLogLevel, _ message: String, _ metadata: [String: JSONValue] = [:]) async {
        guard !isOver else { return }
        do {
            try await context.log(level, message.withoutNUL, metadata: metadata.mapValues(\.withoutNUL))
        } catch is CancellationError {
            isOver = true
        } catch {
            // As with progress.
        }
    }
}

extension String {
    /// NUL, which PostgreSQL can't hold, as U+FFFD.
    var withoutNUL: String {
        guard utf8.contains(0) else { return self }
        return String(String.UnicodeScalarView(unicodeScalars.map { $0 == "\0" ? "\u{FFFD}" : $0 }))
    }
}

extension JSONValue {
    /// In all texts and keys.
    var withoutNUL: JSONValue {
        switch self {
        case .string(let text): .string(text.withoutNUL)
        case .array(let items): .array(items.map(\.withoutNUL))
        case .object(let members):
            .object(Dictionary(members.map { ($0.withoutNUL, $1.withoutNUL) }) { first, _ in first })
        case .null, .bool, .integer, .double: self
        }
    }
}
