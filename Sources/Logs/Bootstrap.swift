import Glibc
public import Logging
import Systemd

/// How log events are written.
public enum LogFormat: String, Sendable, CaseIterable {
    /// `journal` if standard error goes there, `text` if it is a terminal, else `json`.
    case auto
    /// The journal's own protocol, with metadata as fields.
    case journal
    /// A line for people.
    case text
    /// A JSON object a line.
    case json

    /// What `auto` stands for; the others are themselves.
    public func resolved(isJournal: Bool, isTerminal: Bool) -> LogFormat {
        guard self == .auto else { return self }
        return isJournal ? .journal : isTerminal ? .text : .json
    }
}

/// Lets every `Logger` of this process write in this format. Called once, before the first `Logger`
/// is made.
///
/// - Parameters:
///   - limiter: Bounds the lines of one kind; whoever gives it asks it for what was left out.
///   - metadataProvider: Facts of the running task, added to each event.
/// - Returns: The level, to be changed while running.
@discardableResult
public func bootstrap(
    format: LogFormat, level: Logger.Level, limiter: LogLimiter? = nil,
    metadataProvider: Logger.MetadataProvider? = nil
) -> LogLevelSetting {
    let setting = LogLevelSetting(level)
    let factory = logHandlerFactory(format: format, setting: setting, limiter: limiter)
    LoggingSystem.bootstrap(factory, metadataProvider: metadataProvider)
    return setting
}

/// Makes the handlers of `bootstrap(format:level:limiter:metadataProvider:)`, for those who bootstrap themselves.
public func logHandlerFactory(
    format: LogFormat, setting: LogLevelSetting, limiter: LogLimiter? = nil
) -> @Sendable (_ label: String, Logger.MetadataProvider?) -> any LogHandler {
    let isTerminal = isatty(STDERR_FILENO) == 1
    _ = flushesAtExit
    switch format.resolved(isJournal: isJournalConnected(), isTerminal: isTerminal) {
    case .journal:
        return { label, provider in
            BoundedLogHandler(
                JournalLogHandler(label: label, metadataProvider: provider, send: writeToJournal), setting: setting,
                limiter: limiter, isClogged: { journalWriter.isFull })
        }
    case .text:
        let isColoured = LogColour.isWanted(
            isTerminal: isTerminal, noColor: variable("NO_COLOR"), term: variable("TERM"))
        return { label, provider in
            BoundedLogHandler(
                TextLogHandler(label: label, isColoured: isColoured, metadataProvider: provider),
                setting: setting, limiter: limiter, isClogged: { standardErrorWriter.isFull })
        }
    case .json, .auto:
        return { label, provider in
            BoundedLogHandler(
                JSONLogHandler(label: label, metadataProvider: provider), setting: setting, limiter: limiter,
                isClogged: { standardErrorWriter.isFull })
        }
    }
}

private func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
