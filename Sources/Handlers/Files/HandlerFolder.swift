import Settings

/// The files of `WORKER_HANDLERS`, each judged by itself.
package struct HandlerFolder: Sendable {
    package struct Entry: Sendable {
        package let path: String
        package let outcome: Result<[HandlerDefinition], HandlerFile.Problem>
    }

    /// In the order of their names.
    package let entries: [Entry]
    /// Why nothing is known of the files that the folder holds.
    package let unreadable: HandlerFile.Problem?

    /// Reads all files that end in `.yaml` or `.yml`. A folder that isn't there holds none.
    ///
    /// Where two say something of one job type, the first file has it and the second one is refused as a whole.
    package init(path: String) {
        do throws(FolderFiles.Problem) {
            self.init(files: try FolderFiles(in: path).paths)
        } catch {
            self.init(entries: [], unreadable: HandlerFile.Problem(file: path, line: nil, text: error.text))
        }
    }

    private init(entries: [Entry], unreadable: HandlerFile.Problem?) {
        self.entries = entries
        self.unreadable = unreadable
    }

    /// Reads these files.
    package init(files: [String]) {
        unreadable = nil
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
        (unreadable.map { [$0] } ?? [])
            + entries.compactMap { if case .failure(let problem) = $0.outcome { problem } else { nil } }
    }

    package var handlers: [HandlerDefinition] {
        entries.flatMap { if case .success(let handlers) = $0.outcome { handlers } else { [HandlerDefinition]() } }
    }
}
