import FoundationEssentials

/// The files of `WORKER_HANDLERS`, each judged by itself.
package struct HandlerFolder: Sendable {
    package struct Entry: Sendable {
        package let path: String
        package let outcome: Result<[HandlerDefinition], HandlerFile.Problem>
    }

    /// In the order of their names.
    package let entries: [Entry]

    /// Reads all files that end in `.yaml` or `.yml`. A folder that isn't there holds none.
    ///
    /// Where two say something of one job type, the first file has it and the second one is refused as a whole.
    package init(path: String) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        self.init(
            files: names.filter { !$0.hasPrefix(".") && ($0.hasSuffix(".yaml") || $0.hasSuffix(".yml")) }.sorted()
                .map { "\(path)/\($0)" })
    }

    /// Reads these files.
    package init(files: [String]) {
        var owners: [String: String] = [:]
        entries = files.map { file in
            do throws(HandlerFile.Problem) {
                let handlers = try HandlerFile(path: file).handlers
                var own = owners
                for handler in handlers {
                    if let other = own.updateValue(handler.file, forKey: handler.jobType) {
                        throw HandlerFile.Problem(
                            file: file, line: handler.line,
                            text: "the job type '\(handler.jobType)' stands already in \(other)")
                    }
                }
                owners = own
                return Entry(path: file, outcome: .success(handlers))
            } catch {
                return Entry(path: file, outcome: .failure(error))
            }
        }
    }

    package var problems: [HandlerFile.Problem] {
        entries.compactMap { if case .failure(let problem) = $0.outcome { problem } else { nil } }
    }

    package var handlers: [HandlerDefinition] {
        entries.flatMap { if case .success(let handlers) = $0.outcome { handlers } else { [HandlerDefinition]() } }
    }
}
