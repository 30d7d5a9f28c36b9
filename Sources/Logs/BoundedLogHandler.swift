import Logging

/// A handler whose level is the shared setting, until a logger sets one of its own, and which leaves out what is too much:
/// by the limiter's measure, or because nobody reads what was written before.
struct BoundedLogHandler<Base: LogHandler>: LogHandler {
    private var base: Base
    private let setting: LogLevelSetting
    private let limiter: LogLimiter?
    private let isClogged: @Sendable () -> Bool
    private var ownLevel: Logger.Level?

    /// - Parameter isClogged: A further line would be lost.
    init(
        _ base: Base, setting: LogLevelSetting, limiter: LogLimiter? = nil,
        isClogged: @escaping @Sendable () -> Bool = { false }
    ) {
        self.base = base
        self.setting = setting
        self.limiter = limiter
        self.isClogged = isClogged
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
        // How many were left out is told nevertheless.
        if isClogged(), limiter?.isExempt(event) != true {
            limiter?.leaveOut(event)
            return
        }
        base.log(event: event)
    }
}
