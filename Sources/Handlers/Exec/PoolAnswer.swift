import JobWorker

/// The line with which a kept program answers a job: `{"result": …}` or `{"error": …, "permanent": …, "retry_in": …}`.
struct PoolAnswer {
    private let outcome: Result<JSONText?, JobFailure>
    /// Whether the program speaks another language: nobody knows to which job its next line belongs.
    let isOutOfStep: Bool

    func result() throws -> JSONText? { try outcome.get() }

    init(_ line: LineSplitter.Line) {
        guard line.missing == 0 else {
            self.init(
                .failure(
                    .permanent(
                        "The program's answer is longer than \(RunningProgram.resultMax) bytes; store the data elsewhere "
                            + "and answer with a reference")))
            return
        }
        let text = line.text
        // The usual form, which needs no decoding: the result keeps its text.
        if let result = Self.plainResult(text) {
            self.init(.success(result))
            return
        }
        guard let value: JSONValue = try? JSONText(text).decode(), let members = value.object else {
            self.init(.failure(Self.unclear(text)), isOutOfStep: true)
            return
        }
        if let error = members["error"] {
            let message = (error.string ?? (try? JSONText(encoding: error).text) ?? "").withoutNUL
            let kind: JobFailure.Kind
            if members["permanent"]?.bool == true {
                kind = .permanent
            } else if let seconds = members["retry_in"]?.double, (0..<1e9).contains(seconds) {
                kind = .snooze(.seconds(seconds))
            } else {
                kind = .retryable
            }
            self.init(.failure(JobFailure(kind, message.isEmpty ? "The program failed without a reason" : message)))
        } else if let result = members["result"] {
            let text = (try? JSONText(encoding: result.withoutNUL).text) ?? "null"
            self.init(.success(result == .null ? nil : JSONText(text)))
        } else {
            self.init(.failure(Self.unclear(text)), isOutOfStep: true)
        }
    }

    private init(_ outcome: Result<JSONText?, JobFailure>, isOutOfStep: Bool = false) {
        self.outcome = outcome
        self.isOutOfStep = isOutOfStep
    }

    private static func unclear(_ text: String) -> JobFailure {
        .retryable(
            "The program's answer is not understood: expected is {\"result\":…} or {\"error\":…} on one line",
            causes: ["Answer: \(text.prefix(1000))"])
    }

    /// What stands in `{"result":…}` where that is all.
    private static func plainResult(_ text: String) -> JSONText?? {
        for start in ["{\"result\":", "{\"result\": "] where text.hasPrefix(start) && text.hasSuffix("}") {
            let inner = String(text.dropFirst(start.count).dropLast())
            // With a second member it would be no JSON value.
            if JSONCheck.accepts(inner) { return .some(inner == "null" ? nil : JSONText(inner)) }
        }
        return nil
    }
}
