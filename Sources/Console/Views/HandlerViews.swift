package import Handlers
import JobWorker
package import Terminal

/// Handlers as lines of a table.
package struct HandlerListView: View {
    private let folder: HandlerFolder

    package init(_ folder: HandlerFolder) { self.folder = folder }

    package var json: JSON {
        .object([
            ("handlers", .array(folder.handlers.sorted { $0.jobType < $1.jobType }.map(\.json))),
            ("problems", .array(folder.problems.map { .string($0.description) })),
        ])
    }

    package func text(for screen: Screen) -> String {
        guard !folder.handlers.isEmpty else { return "" }
        var table = Table([
            .init("JOB TYPE", widthMin: 8), .init("BY", widthMin: 12), .init("TIMEOUT", .right), .init("MOST", .right),
            .init("ALLOW"), .init("FILE", widthMin: 12, weight: 1),
        ])
        for handler in folder.handlers.sorted(by: { $0.jobType < $1.jobType }) {
            table.add([
                .init(handler.jobType), .init(handler.server),
                .init(handler.timeout.map { "\($0.components.seconds) s" } ?? "-"),
                .init(handler.maxConcurrent.map(String.init) ?? "-"), .init(handler.audience.rawValue),
                .init(handler.file),
            ])
        }
        return table.text(for: screen)
    }
}

extension HandlerDefinition {
    /// The program or the address.
    fileprivate var server: String {
        switch kind {
        case .exec(let settings):
            settings.command.joined(separator: " ") + (settings.poolSize.map { " (pool of \($0))" } ?? "")
        case .http(let settings): settings.url
        }
    }

    /// Without its environment, which may hold secrets.
    fileprivate var json: JSON {
        var members: [(String, JSON)] = [("job_type", .string(jobType))]
        switch kind {
        case .exec(let settings):
            members += [
                ("exec", JSON(settings.command)), ("pool", JSON(settings.poolSize)), ("user", JSON(settings.user)),
            ]
        case .http(let settings): members.append(("http", .string(settings.url)))
        }
        members += [
            ("timeout_seconds", JSON(timeout.map { Int($0.components.seconds) })),
            ("max_concurrent", JSON(maxConcurrent)),
            ("allow", .string(audience.rawValue)), ("file", .string(path)), ("line", .integer(line)),
        ]
        return .object(members)
    }
}

/// What is wrong with the files of handlers, and with what they name.
package struct HandlerCheckView: View {
    private let folder: HandlerFolder
    private let doubts: [(file: String, text: String)]

    /// - Parameter credentials: The folder of systemd's credentials.
    package init(_ folder: HandlerFolder, credentials: String?) {
        self.folder = folder
        doubts = folder.handlers.flatMap { handler in
            HandlerDoubts.of(handler, credentials: credentials).map { (handler.file, "\(handler.jobType): \($0)") }
        }
    }

    package var isGood: Bool { folder.problems.isEmpty && doubts.isEmpty }

    package var json: JSON {
        .object([
            ("files", .integer(folder.entries.count)), ("handlers", .integer(folder.handlers.count)),
            (
                "problems",
                .array(
                    folder.problems.map {
                        .object([("file", .string($0.file)), ("line", JSON($0.line)), ("text", .string($0.text))])
                    }
                        + doubts.map {
                            .object([("file", .string($0.file)), ("line", .null), ("text", .string($0.text))])
                        })
            ),
        ])
    }

    package func text(for screen: Screen) -> String {
        var lines = folder.problems.map(\.description) + doubts.map { "\($0.file): \($0.text)" }
        let count = folder.handlers.count
        lines.append(
            isGood
                ? "\(count) job type\(count == 1 ? "" : "s") in \(folder.entries.count) "
                    + "file\(folder.entries.count == 1 ? "" : "s"), nothing is wrong."
                : "\(lines.count) problem\(lines.count == 1 ? "" : "s").")
        return lines.joined(separator: "\n") + "\n"
    }
}

/// What became of a handler that was tried.
package struct HandlerTrialView: View {
    private let trial: HandlerTrial

    package init(_ trial: HandlerTrial) { self.trial = trial }

    private var milliseconds: Int {
        let parts = trial.took.components
        return Int(parts.seconds) * 1000 + Int(parts.attoseconds / 1_000_000_000_000_000)
    }

    package var json: JSON {
        var members: [(String, JSON)] = []
        switch trial.outcome {
        case .completed(let result):
            members = [("outcome", .string("completed")), ("result", result.map { .raw($0.text) } ?? .null)]
        case .failed(let failure):
            let word: String
            var delay: Int?
            switch failure.kind {
            case .permanent: word = "failed"
            case .retryable: word = "retry"
            case .snooze(let time): (word, delay) = ("snooze", Int(time.components.seconds))
            }
            members = [
                ("outcome", .string(word)), ("error", .string(failure.message)), ("retry_in_seconds", JSON(delay)),
                ("error_stack", JSON(failure.causes)),
            ]
        case .timedOut(let limit):
            members = [
                ("outcome", .string("retry")),
                ("error", .string("Timed out: it ran longer than \(limit.components.seconds) s")),
            ]
        case .interrupted: members = [("outcome", .string("interrupted"))]
        }
        return .object(members + [("milliseconds", .integer(milliseconds))])
    }

    package func text(for screen: Screen) -> String {
        switch trial.outcome {
        case .completed(let result): return result.map { $0.text + "\n" } ?? ""
        case .timedOut(let limit): return "Would be tried again: it ran longer than \(limit.components.seconds) s\n"
        case .interrupted: return "It was interrupted.\n"
        case .failed(let failure):
            let what: String
            switch failure.kind {
            case .permanent: what = "Would fail for good"
            case .retryable: what = "Would be tried again"
            case .snooze(let time): what = "Would be due again after \(time.components.seconds) s"
            }
            return ([("\(what): \(failure.message)")] + failure.causes.map { "  \($0)" }).joined(separator: "\n") + "\n"
        }
    }
}
