import FoundationEssentials
import Glibc

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
        do throws(HandlerFile.Problem) {
            self.init(files: try Self.names(in: path).map { "\(path)/\($0)" })
        } catch {
            self.init(entries: [], unreadable: error)
        }
    }

    private init(entries: [Entry], unreadable: HandlerFile.Problem?) {
        self.entries = entries
        self.unreadable = unreadable
    }

    private static func names(in path: String) throws(HandlerFile.Problem) -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path)
                .filter { !$0.hasPrefix(".") && ($0.hasSuffix(".yaml") || $0.hasSuffix(".yml")) }.sorted()
        } catch let error as CocoaError where error.code == .fileReadNoSuchFile {
            return []
        } catch {
            let code = (error as? CocoaError)?.underlying as? POSIXError
            let reason = code.map { String(cString: strerror($0.code.rawValue)) } ?? "\(error)"
            throw HandlerFile.Problem(
                file: path, line: nil,
                text: "the folder can't be read: \(reason). It must be a folder that the worker may list")
        }
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
