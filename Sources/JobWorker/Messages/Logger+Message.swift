package import Logging

extension Logger {
    /// Writes a line of the catalogue, with its id.
    /// - Parameters:
    ///   - text: The words, where they hold more than the catalogue's.
    ///   - level: Where it isn't the catalogue's.
    package func log(
        _ message: LogMessage, text: @autoclosure () -> String? = nil, level: Level? = nil,
        metadata: @autoclosure () -> Metadata = [:], file: String = #fileID, function: String = #function,
        line: UInt = #line
    ) {
        log(
            level: level ?? message.level, Message(stringLiteral: text() ?? message.text),
            metadata: Self.identified(metadata(), message),
            file: file, function: function, line: line)
    }

    private static func identified(_ metadata: Metadata, _ message: LogMessage) -> Metadata {
        metadata.isEmpty ? message.metadata : message.metadata.merging(metadata) { $1 }
    }
}
