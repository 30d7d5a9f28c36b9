/// A level of the log, as swift-log spells it.
public enum LogLevelName: String, Sendable, Hashable, CaseIterable {
    case trace, debug, info, notice, warning, error, critical
}

/// How log events are written.
public enum LogFormatName: String, Sendable, Hashable, CaseIterable {
    /// `journal` under systemd, `text` on a terminal, else `json`.
    case auto
    case journal, text, json
}

/// The lowest level of the rows that the worker itself writes to `job_logs`.
public enum JobLogLevelName: String, Sendable, Hashable, CaseIterable {
    case debug, info, warn, error
    /// No such rows at all.
    case none
}
