public import Logging
import Synchronization

/// The level of all loggers, changeable while they are in use.
public final class LogLevelSetting: Sendable {
    private let stored: Atomic<Int>

    public init(_ level: Logger.Level) { stored = Atomic(level.place) }

    /// The least severe level that is written. A change is seen by other threads soon, not at once.
    public var level: Logger.Level {
        get { Logger.Level.allCases[stored.load(ordering: .relaxed)] }
        set { stored.store(newValue.place, ordering: .relaxed) }
    }
}

extension Logger.Level {
    /// Where it stands in `allCases`, least severe first.
    fileprivate var place: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
