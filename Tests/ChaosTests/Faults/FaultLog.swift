import Synchronization

/// What was done to whom, and when.
final class FaultLog: Sendable {
    struct Entry: Sendable {
        let kind: String
        let worker: String?
        let began: Int64
        var ended: Int64
    }

    private let entries = Mutex<[Entry]>([])
    private let deaths = Mutex<[String]>([])

    var all: [Entry] { entries.withLock { $0 } }
    /// Ends of workers that no fault explains.
    var unexplained: [String] { deaths.withLock { $0 } }

    func note(_ kind: String, worker: String?, began: Int64) {
        let entry = Entry(kind: kind, worker: worker, began: began, ended: wallClock())
        entries.withLock { $0.append(entry) }
    }

    func noteDeath(_ sentence: String) { deaths.withLock { $0.append(sentence) } }
}
