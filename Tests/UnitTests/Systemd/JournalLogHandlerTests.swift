import Glibc
import Logging
import Synchronization
@testable import Systemd
import Testing

struct JournalLogHandlerTests {
    @Test func `an event becomes one entry with its metadata as fields`() {
        let entries = Entries()
        var logger = Logger(label: "worker", factory: { JournalLogHandler(label: $0, send: entries.add) })
        logger[metadataKey: "WORKER"] = "w1"
        logger.warning(
            "first line\nsecond line", metadata: ["job-id": "7", "message": "mine", "MESSAGE_ID": "abc"],
            file: "JobWorker/Poller.swift", function: "poll()", line: 12)
        #expect(
            entries.all == [
                [
                    "MESSAGE=first line\nsecond line", "PRIORITY=4", "SYSLOG_IDENTIFIER=jobworker", "LOGGER=worker",
                    "CODE_FILE=JobWorker/Poller.swift", "CODE_LINE=12", "CODE_FUNC=poll()", "MESSAGE_ID=abc",
                    "WORKER=w1", "JOB_ID=7", "META_MESSAGE=mine",
                ]
            ])
    }

    @Test func `what is said nearer to the event wins`() {
        let entries = Entries()
        let provider = Logger.MetadataProvider { ["A": "provider", "B": "provider"] }
        var logger = Logger(
            label: "x", factory: { JournalLogHandler(label: $0, metadataProvider: provider, send: entries.add) })
        logger[metadataKey: "A"] = "logger"
        logger[metadataKey: "C"] = "logger"
        logger.info("x", metadata: ["B": "event"])
        #expect(entries.all.first?.suffix(3) == ["A=provider", "B=event", "C=logger"])
    }

    @Test func `an error has a field of its own`() {
        let entries = Entries()
        let logger = Logger(label: "x", factory: { JournalLogHandler(label: $0, send: entries.add) })
        logger.error("failed", error: SystemdError("doing", reason: "no"))
        #expect(entries.all.first?.contains("ERROR=doing: no") == true)
        logger.error("failed", metadata: ["ERROR": "said"])
        #expect(entries.all.last?.contains("ERROR=said") == true)
        logger.error("failed", error: SystemdError("doing", reason: "no"), metadata: ["ERROR": "said"])
        #expect(entries.all.last?.contains("ERROR=doing: no") == true)
        #expect(entries.all.last?.contains("META_ERROR=said") == true)
    }

    @Test(
        arguments: [
            (.trace, 7), (.debug, 7), (.info, 6), (.notice, 5), (.warning, 4), (.error, 3), (.critical, 2),
        ] as [(Logger.Level, Int)])
    func `levels become syslog's priorities`(level: Logger.Level, priority: Int) {
        #expect(journalPriority(level) == priority)
    }

    @Test(arguments: [
        ("JOB_ID", "JOB_ID"), ("job-id", "JOB_ID"), ("http.status", "HTTP_STATUS"), ("_HOSTNAME", "HOSTNAME"),
        ("__x", "X"), ("2nd", "N2ND"), ("_2nd", "N2ND"), ("größe", "GR____E"), ("", "UNNAMED"), ("_-", "UNNAMED"),
        ("priority", "META_PRIORITY"), ("code_line", "META_CODE_LINE"), ("a=b\nc", "A_B_C"),
    ])
    func `field names follow journald's rules`(key: String, name: String) {
        #expect(JournalField(key, "").name == name)
    }

    @Test func `a field name has at most 64 characters`() {
        #expect(JournalField(String(repeating: "a", count: 100), "").name == String(repeating: "A", count: 64))
        #expect(JournalField("1" + String(repeating: "a", count: 100), "").name.utf8.count == 64)
    }

    @Test func `a long value is cut between characters`() {
        let most = String(repeating: "x", count: 16 * 1024)
        #expect(JournalField("A", most).value == most)
        #expect(JournalField("A", most + "x").value == String(repeating: "x", count: 16 * 1024 - 3) + "…")
        // 4 bytes each: the last whole one ends 1 byte before the mark's place.
        let wide = JournalField("A", String(repeating: "😀", count: 5000)).value
        #expect(wide == String(repeating: "😀", count: 4095) + "…")
    }

    @Test func `the journal is recognised by device and inode`() throws {
        var descriptors: [Int32] = [-1, -1]
        pipe(&descriptors)
        defer { for descriptor in descriptors { close(descriptor) } }
        var status = stat()
        fstat(descriptors[1], &status)
        let (device, inode) = (UInt(status.st_dev), UInt(status.st_ino))
        let isConnected = { isJournalConnected(stream: $0, descriptor: descriptors[1]) }
        #expect(isConnected("\(device):\(inode)"))
        for other in ["\(device):\(inode + 1)", "\(device + 1):\(inode)", "\(inode)", "", ":", "\(device):\(inode):1"] {
            #expect(!isConnected(other))
        }
        #expect(!isJournalConnected(stream: "\(device):\(inode)", descriptor: -1))
    }

    @Test func `JOURNAL_STREAM speaks of standard error`() async {
        await #expect(processExitsWith: .success) {
            var status = stat()
            fstat(STDERR_FILENO, &status)
            setenv("JOURNAL_STREAM", "\(status.st_dev):\(status.st_ino)", 1)
            #expect(isJournalConnected())
            unsetenv("JOURNAL_STREAM")
            #expect(!isJournalConnected())
        }
    }
}

/// The entries written, as `NAME=value`.
private final class Entries: Sendable {
    private let entries = Mutex<[[String]]>([])

    var all: [[String]] { entries.withLock { $0 } }

    @Sendable func add(_ fields: [JournalField]) {
        entries.withLock { $0.append(fields.map { "\($0.name)=\($0.value)" }) }
    }
}
