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

/// A handler whose level is the shared setting, until a logger sets one of its own.
struct LeveledLogHandler<Base: LogHandler>: LogHandler {
    private var base: Base
    private let setting: LogLevelSetting
    private var ownLevel: Logger.Level?

    init(_ base: Base, setting: LogLevelSetting) {
        self.base = base
        self.setting = setting
    }

    var logLevel: Logger.Level {
        get { ownLevel ?? setting.level }
        set { ownLevel = newValue }
    }

    var metadata: Logger.Metadata {
        get { base.metadata }
        set { base.metadata = newValue }
    }

    var metadataProvider: Logger.MetadataProvider? {
        get { base.metadataProvider }
        set { base.metadataProvider = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { base[metadataKey: key] }
        set { base[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) { base.log(event: event) }
}
