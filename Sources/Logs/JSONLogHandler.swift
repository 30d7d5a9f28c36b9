public import Logging

/// Writes one JSON object a line: `timestamp` (RFC 3339 with milliseconds, UTC), `level`, `logger`,
/// `message`, `message_id` and `error` if there is one, and `metadata` with texts only, if there is any.
///
/// A line that would be too long stays valid JSON: texts are shortened and end in `…`, what doesn't
/// fit at all is left out, and `"cut":true` says so.
public struct JSONLogHandler: LogHandler {
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    public var logLevel: Logger.Level = .info

    private let label: String
    private let sink: LogSink
    private let now: @Sendable () -> LogTime

    public init(
        label: String, metadataProvider: Logger.MetadataProvider? = nil, sink: LogSink = .standardError,
        now: @escaping @Sendable () -> LogTime = LogTime.utc
    ) {
        self.label = label
        self.metadataProvider = metadataProvider
        self.sink = sink
        self.now = now
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var line = JSONLine(bytesMax: LogSink.lineBytesMax)
        line.add("timestamp", now().rfc3339)
        line.add("level", event.level.rawValue)
        line.add("logger", label)
        // A quarter of the line is kept for the metadata: it says which job it was.
        line.add("message", event.message.description, valueBytesMax: LogSink.lineBytesMax / 2)
        if let id = event.metadata?[messageIDKey] { line.add("message_id", id.description, valueBytesMax: 64) }
        if let error = event.error { line.add("error", "\(error)", valueBytesMax: LogSink.lineBytesMax / 4) }
        line.add("metadata", facts(of: event, handler: metadata, provider: metadataProvider))
        sink.write(line.finished())
    }
}
