/// One thing that was looked at, and what was found.
public struct Finding: Sendable, Hashable {
    public enum State: String, Sendable {
        case ok
        /// Works, but not as it should, or not for long.
        case warn
        /// Jobs can't run until it is put right.
        case fail
    }

    /// What keeps everything else from being looked at.
    public enum Obstacle: Sendable {
        case badSettings, unreachable
        /// The database refuses the role, or what it asks for.
        case refused
    }

    /// What was looked at, in a word or two.
    public let subject: String
    public let state: State
    /// What was found, in a sentence.
    public let message: String
    /// What to do about it.
    public let advice: String?
    public let obstacle: Obstacle?

    public static func ok(_ subject: String, _ message: String) -> Finding {
        Finding(subject: subject, state: .ok, message: message, advice: nil, obstacle: nil)
    }

    public static func warn(_ subject: String, _ message: String, advice: String? = nil) -> Finding {
        Finding(subject: subject, state: .warn, message: message, advice: advice, obstacle: nil)
    }

    public static func fail(
        _ subject: String, _ message: String, advice: String? = nil, obstacle: Obstacle? = nil
    ) -> Finding {
        Finding(subject: subject, state: .fail, message: message, advice: advice, obstacle: obstacle)
    }
}

/// The first few of a list, and how many more there are.
func listed(_ items: [String], max: Int = 4) -> String {
    let shown = items.prefix(max).joined(separator: ", ")
    return items.count > max ? "\(shown) and \(items.count - max) more" : shown
}

/// `1 job`, `3 jobs`.
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
