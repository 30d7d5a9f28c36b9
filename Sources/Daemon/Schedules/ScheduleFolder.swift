import FoundationEssentials
import JobWorker
import Logging
import Postgres
import Settings

/// The schedules that files describe: brought into the database at the start and at each reload.
///
/// Any number of workers may do so with the same files: what doesn't differ isn't written. A file that can't be read, or
/// that the database refuses, changes nothing. What no file names any more stays.
struct ScheduleFolder: Sendable {
    private struct Key: Hashable {
        let workspaceID: UUID
        let name: String
    }

    private let path: String
    private let store: JobStore
    private let logger: Logger

    init(path: String, store: JobStore, logger: Logger) {
        self.path = path
        self.store = store
        self.logger = logger
    }

    /// - Throws: `PostgresError` where the database is away; all else is written to the log.
    func apply() async throws {
        let files: [String]
        do throws(FolderFiles.Problem) {
            files = try FolderFiles(in: path).paths
        } catch {
            logger.log(.scheduleFileRefused, metadata: ["PROBLEM": "\(path): \(error.text)"])
            return
        }
        guard !files.isEmpty else { return }
        var changed: [String] = []
        var owners: [Key: String] = [:]
        for file in files {
            do {
                let entries = try read(file, &owners)
                changed += try await store.apply(
                    entries.map(\.schedule), by: Requester(actor: "file:\(file)", via: .worker))
            } catch let refusal as ScheduleFileRefusal {
                logger.log(.scheduleFileRefused, metadata: ["PROBLEM": "\(refusal.sentence)"])
            } catch let refusal as NamedScheduleRefusal {
                logger.log(
                    .scheduleFileRefused,
                    metadata: ["PROBLEM": "\(file): '\(refusal.name)': \(refusal.sentence)"])
            }
        }
        logger.log(
            .schedulesApplied,
            metadata: [
                "FOLDER": "\(path)", "FILES": "\(files.count)",
                "CHANGED": "\(changed.isEmpty ? "none" : changed.joined(separator: ", "))",
            ])
    }

    private func read(_ file: String, _ owners: inout [Key: String]) throws -> [ScheduleFile.Entry] {
        let text: String
        do throws(FileText.Problem) {
            text = try FileText(path: file).text
        } catch {
            switch error {
            case .missing: return []
            case .unusable(let why): throw ScheduleFileRefusal(sentence: "\(file) \(why)")
            }
        }
        do throws(ScheduleFile.Problem) {
            let entries = try ScheduleFile(parsing: text).entries
            var own = owners
            for entry in entries {
                let key = Key(workspaceID: entry.schedule.workspaceID, name: entry.schedule.name)
                if let other = own.updateValue("\(file):\(entry.line)", forKey: key) {
                    throw ScheduleFile.Problem(
                        line: entry.line, text: "the schedule '\(entry.schedule.name)' stands already in \(other)")
                }
            }
            owners = own
            return entries
        } catch {
            throw ScheduleFileRefusal(sentence: "\(file)\(error.line.map { ":\($0)" } ?? ""): \(error.text)")
        }
    }
}

/// Why a file is not taken: a sentence with its path and line.
private struct ScheduleFileRefusal: Error {
    let sentence: String
}
