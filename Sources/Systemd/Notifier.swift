import CLibSystemd
import Glibc
import Synchronization

/// Tells systemd what the service is doing (sd_notify(3)).
///
/// Outside systemd every method does nothing. Each message is one datagram; a method answers `true`
/// if it left the process, which says nothing about systemd having read it. A flood of messages
/// brings systemd to a halt: beyond equal texts of `status(_:)` nothing is held back here, so call at
/// most about once a second.
public final class Notifier: Sendable {
    private let send: (@Sendable (String) -> Bool)?
    private let lastStatus = Mutex<String?>(nil)

    /// Uses the socket in this process's `NOTIFY_SOCKET`, if there is one.
    ///
    /// The variable stays, so that a later `Notifier` finds it too; take it out of the environment of
    /// child processes, as systemd listens to the main process alone.
    public init() {
        guard let address = getenv("NOTIFY_SOCKET"), address.pointee != 0 else {
            send = nil
            return
        }
        // Above 0: sent. 0: no variable. Below: not sent, for the reason in -errno.
        send = { message in sd_notify(0, message) > 0 }
    }

    /// Hands each message to `send` instead, for tests of what a service says.
    public init(sending send: @escaping @Sendable (String) -> Bool) { self.send = send }

    /// Whether somebody listens.
    public var isActive: Bool { send != nil }

    /// Starting, or reloading, has ended; ends a waiting `systemctl start`.
    @discardableResult
    public func ready() -> Bool { notify("READY=1") }

    /// The service has begun to stop.
    @discardableResult
    public func stopping() -> Bool { notify("STOPPING=1") }

    /// Settings are being read again; `ready()` must follow.
    @discardableResult
    public func reloading() -> Bool {
        // CLOCK_MONOTONIC: what systemd 253 and later compare; 252 doesn't read it.
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000
        return notify("RELOADING=1\nMONOTONIC_USEC=\(microseconds)")
    }

    /// One line for people, in `systemctl status`. A text equal to the last one isn't sent again, and
    /// the answer is `false`.
    @discardableResult
    public func status(_ text: String) -> Bool {
        // A line end would begin another variable.
        let line = String(decoding: text.utf8.map { $0 < 0x20 ? 0x20 : $0 }, as: UTF8.self)
        // Sent with the lock held, so that two texts can't arrive the other way round.
        return lastStatus.withLock { last in
            guard line != last, notify("STATUS=\(line)") else { return false }
            last = line
            return true
        }
    }

    /// Proof of life. Due every `Watchdog.interval`, from the loop whose life it proves.
    @discardableResult
    public func watchdogPing() -> Bool { notify("WATCHDOG=1") }

    /// Moves the limit for starting or stopping to now + `duration`, but never nearer. Has to be
    /// repeated before that has passed.
    @discardableResult
    public func extendTimeout(_ duration: Duration) -> Bool {
        notify("EXTEND_TIMEOUT_USEC=\(max(0, duration.wholeMicroseconds))")
    }

    private func notify(_ message: String) -> Bool { send?(message) ?? false }
}

extension Duration {
    /// Rounded down.
    var wholeMicroseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }
}
