import CLibSystemd
import Glibc
public import Logging

/// Writes log events to the journal with their metadata as fields, so that `journalctl JOB_ID=…` finds
/// them.
///
/// The journal's socket is written to directly: if journald isn't running the event is lost. `sendToJournal` waits where
/// its queue is full; give another `send` where that must not be.
public struct JournalLogHandler: LogHandler {
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    public var logLevel: Logger.Level = .info

    private let label: String
    private let identifier: String
    private let send: @Sendable ([JournalField]) -> Void

    /// - Parameters:
    ///   - label: The logger's name, in the field `LOGGER`.
    ///   - identifier: What `journalctl -t` filters by.
    ///   - send: For tests; by default the journal.
    public init(
        label: String, identifier: String = "jobworker", metadataProvider: Logger.MetadataProvider? = nil,
        send: @escaping @Sendable ([JournalField]) -> Void = sendToJournal
    ) {
        self.label = label
        self.identifier = identifier
        self.metadataProvider = metadataProvider
        self.send = send
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var fields = [
            JournalField(own: "MESSAGE", event.message.description),
            JournalField(own: "PRIORITY", String(journalPriority(event.level))),
            JournalField(own: "SYSLOG_IDENTIFIER", identifier),
            JournalField(own: "LOGGER", label),
            JournalField(own: "CODE_FILE", event.file),
            JournalField(own: "CODE_LINE", String(event.line)),
            JournalField(own: "CODE_FUNC", event.function),
        ]
        if let error = event.error { fields.append(JournalField(own: "ERROR", "\(error)")) }
        // What is said nearer to the event wins.
        let merged =
            metadata
            .merging(metadataProvider?.get() ?? [:]) { _, new in new }
            .merging(event.metadata ?? [:]) { _, new in new }
        for (key, value) in merged.sorted(by: { $0.key < $1.key }) {
            let field = JournalField(key, value.description)
            // One field of that name: the event's own error, where there is one.
            let isSecond = field.name == "ERROR" && event.error != nil
            fields.append(isSecond ? JournalField(own: "META_ERROR", value.description) : field)
        }
        send(fields)
    }
}

/// The syslog priority, 2 (critical) to 7 (debug), by which `journalctl -p` filters.
public func journalPriority(_ level: Logger.Level) -> Int {
    switch level {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
}

/// Whether this process's standard error goes to the journal (`JOURNAL_STREAM`, systemd.exec(5)), so
/// that writing there as well as to the journal's socket reaches the same reader.
public func isJournalConnected() -> Bool {
    getenv("JOURNAL_STREAM").map { isJournalConnected(stream: String(cString: $0), descriptor: STDERR_FILENO) } ?? false
}

/// - Parameter stream: Device and inode of the stream, in decimal, with a colon between them.
func isJournalConnected(stream: String, descriptor: Int32) -> Bool {
    let parts = stream.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let device = UInt(parts[0]), let inode = UInt(parts[1]) else { return false }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return false }
    return UInt(status.st_dev) == device && UInt(status.st_ino) == inode
}
