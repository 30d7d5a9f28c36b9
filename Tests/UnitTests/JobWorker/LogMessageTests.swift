import FoundationEssentials
import Glibc
import JobWorker
import Logging
@testable import Logs
import Support
import Synchronization
import Systemd
import Testing

struct LogMessageTests {
    /// The journal's catalog, as systemd's `journalctl --update-catalog` reads it.
    private static var catalog: [(id: String, entry: String)] {
        get throws {
            let text = try String(
                contentsOf: repository.appending(path: "packaging/jobworker.catalog"), encoding: .utf8)
            return text.split(separator: "\n-- ").dropFirst().map { part in
                (String(part.prefix { $0 != "\n" }), String(part.drop { $0 != "\n" }.dropFirst()))
            }
        }
    }

    private static var repository: URL {
        (0..<4).reduce(URL(filePath: #filePath)) { url, _ in url.deletingLastPathComponent() }
    }

    @Test func `each message has an id of its own, of 128 bits`() {
        #expect(Set(LogMessage.all.map(\.id)).count == LogMessage.all.count)
        for message in LogMessage.all {
            #expect(message.id.wholeMatch(of: /[0-9a-f]{32}/) != nil, "\(message.text)")
        }
    }

    @Test func `the journal's catalog explains every message, and no other`() throws {
        let catalog = try Self.catalog
        #expect(catalog.map(\.id) == LogMessage.all.map(\.id))
    }

    @Test func `an entry of the catalog has the message's words as its subject, and says what to do`() throws {
        for (message, (_, entry)) in zip(LogMessage.all, try Self.catalog) {
            let lines = entry.split(separator: "\n", omittingEmptySubsequences: false)
            #expect(lines.first == "Subject: \(message.text)")
            #expect(lines.contains("Defined-By: jobworker"))
            #expect(lines.contains("Documentation: man:jobworker(8)"))
            let body = lines.drop { !$0.isEmpty }.joined(separator: " ")
            #expect(body.count > 40, "\(message.text)")
        }
    }

    @Test func `systemd reads every entry of the catalog`() async throws {
        let root = "/tmp/jobworker-catalog-\(getpid())"
        let folder = root + "/usr/lib/systemd/catalog"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: root) }
        let file = Self.repository.appending(path: "packaging/jobworker.catalog").path
        try FileManager.default.copyItem(atPath: file, toPath: folder + "/jobworker.catalog")
        let update = await runProgram(["journalctl", "--root=\(root)", "--update-catalog"])
        #expect(update.status == 0, "\(update.output)")
        let list = await runProgram(["journalctl", "--root=\(root)", "--list-catalog"]).output
        for message in LogMessage.all { #expect(list.contains("\(message.id) jobworker: \(message.text)\n")) }
    }

    @Test func `a message carries its id to the journal as MESSAGE_ID`() {
        let entries = Mutex<[[JournalField]]>([])
        let logger = Logger(label: "x") { label in
            JournalLogHandler(label: label) { fields in entries.withLock { $0.append(fields) } }
        }
        logger.log(.jobFailed, metadata: ["JOB_ID": "7", "ERROR": "first line\nsecond line"])
        let fields = entries.withLock { $0.first ?? [] }.map { "\($0.name)=\($0.value)" }
        #expect(fields.contains("MESSAGE_ID=\(LogMessage.jobFailed.id)"))
        #expect(fields.contains("MESSAGE=job failed"))
        #expect(fields.contains("PRIORITY=3"))
        #expect(fields.contains("ERROR=first line\nsecond line"))
        #expect(fields.contains("CODE_FILE=\(#fileID)"))
    }

    @Test func `a line of JSON has the id as a member of its own, a line of text has none`() {
        let lines = Lines()
        let json = Logger(label: "x") { JSONLogHandler(label: $0, sink: lines.sink) }
        let text = Logger(label: "x") { TextLogHandler(label: $0, isColoured: false, sink: lines.sink) }
        for logger in [json, text] { logger.log(.jobFailed, metadata: ["JOB_ID": "7"]) }
        #expect(
            lines.all.first?.contains(#""message":"job failed","message_id":"\#(LogMessage.jobFailed.id)","#) == true)
        #expect(lines.all.first?.hasSuffix(#""metadata":{"JOB_ID":"7"}}"# + "\n") == true)
        #expect(lines.all.last?.hasSuffix("job failed JOB_ID=7\n") == true)
        #expect(LogMessage.idKey == messageIDKey)
    }
}
