import Glibc

/// What systemd expects of this process (sd_watchdog_enabled(3)). A value: it sends nothing.
public struct Watchdog: Sendable, Hashable {
    /// After this long without a ping the service is killed; `nil`: nobody watches.
    public let timeout: Duration?

    /// How often to call `Notifier.watchdogPing()`: half the time-out. `nil`: never.
    public var interval: Duration? { timeout.map { $0 / 2 } }

    /// Reads this process's environment.
    public init() {
        var environment: [String: String] = [:]
        for name in ["WATCHDOG_USEC", "WATCHDOG_PID"] {
            environment[name] = getenv(name).map { String(cString: $0) }
        }
        self.init(environment: environment, processID: getpid())
    }

    /// Reads `WATCHDOG_USEC`, and `WATCHDOG_PID`, which if set must be `processID`: a child that
    /// inherits the variables isn't the one watched.
    public init(environment: [String: String], processID: Int32) {
        if let owner = environment["WATCHDOG_PID"], Int32(owner) != processID {
            timeout = nil
        } else if let microseconds = environment["WATCHDOG_USEC"].flatMap({ Int64($0) }), microseconds > 0 {
            timeout = .microseconds(microseconds)
        } else {
            timeout = nil
        }
    }
}
