import Logging

/// A handler whose level is the shared setting, until a logger sets one of its own, and which leaves out what is too much.
struct BoundedLogHandler<Base: LogHandler>: LogHandler {
    private var base: Base
    private let setting: LogLevelSetting
    private let limiter: LogLimiter?
    private var ownLevel: Logger.Level?

    init(_ base: Base, setting: LogLevelSetting, limiter: LogLimiter? = nil) {
        self.base = base
        self.setting = setting
        self.limiter = limiter
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

    func log(event: LogEvent) {
        if let limiter, !limiter.admits(event) { return }
        base.log(event: event)
    }
}
