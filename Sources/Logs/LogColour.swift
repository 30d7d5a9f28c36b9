import Logging

/// Colours of a terminal.
public enum LogColour {
    /// Whether to use them: on a terminal that knows them, unless `NO_COLOR` is set to something
    /// (https://no-color.org).
    public static func isWanted(isTerminal: Bool, noColor: String?, term: String?) -> Bool {
        isTerminal && (noColor ?? "").isEmpty && term != "dumb"
    }

    static let reset = "\u{1B}[0m"
    static let faint = "\u{1B}[2m"

    /// What switches a level's colour on; "" for the usual level, which has none.
    static func start(_ level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: faint
        case .info: ""
        case .notice: "\u{1B}[36m"
        case .warning: "\u{1B}[33m"
        case .error: "\u{1B}[31m"
        case .critical: "\u{1B}[1;31m"
        }
    }
}
