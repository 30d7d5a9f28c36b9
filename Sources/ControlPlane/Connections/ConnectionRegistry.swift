import NIOCore
import Synchronization

/// The open connections of one listening socket: counted, and closed when there are too many or at the stop.
///
/// A `Mutex`: connections come, report and go on an event loop, the stop comes from elsewhere, and each access is a
/// few dictionary operations.
final class ConnectionRegistry: Sendable {
    private struct Entry {
        let channel: any Channel
        /// Since when the client keeps the server waiting; `nil` while it is the other way round.
        var waitsSince: NIODeadline?
    }

    private struct State {
        var entries: [ObjectIdentifier: Entry] = [:]
        var isStopping = false
    }

    private let limits: HTTPLimits
    private let state = Mutex(State())

    init(_ limits: HTTPLimits) { self.limits = limits }

    /// Takes a new connection in, at the cost of another one if need be.
    /// - Parameter descriptor: Its socket's, which tells how many this process has left.
    /// - Returns: Whether there is room for it; if not, the caller closes it.
    func admit(_ channel: any Channel, descriptor: Int32) -> Bool {
        let isShort = descriptor >= limits.descriptorLimit
        let (isAdmitted, displaced) = state.withLock { state -> (Bool, (any Channel)?) in
            var displaced: (any Channel)?
            let count = state.entries.count
            if count >= limits.maxConnections || (isShort && count >= limits.connectionsAlways) {
                let waiting = state.entries.compactMap { id, entry in entry.waitsSince.map { (id: id, since: $0) } }
                guard let longest = waiting.min(by: { $0.since < $1.since }) else { return (false, nil) }
                displaced = state.entries.removeValue(forKey: longest.id)?.channel
            }
            state.entries[ObjectIdentifier(channel)] = Entry(channel: channel, waitsSince: .now())
            return (true, displaced)
        }
        displaced?.close(promise: nil)
        if isAdmitted {
            channel.closeFuture.whenComplete { _ in
                self.state.withLock { state in state.entries[ObjectIdentifier(channel)] = nil }
            }
        }
        return isAdmitted
    }

    func note(_ channel: any Channel, waitsSince: NIODeadline?) {
        state.withLock { $0.entries[ObjectIdentifier(channel)]?.waitsSince = waitsSince }
    }

    /// Closes idle connections now and the others after their answer, first requests of new ones included.
    func quiesce() {
        for channel in stop() { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
    }

    /// Whether connections end with the answer that they wait for.
    var isStopping: Bool { state.withLock { $0.isStopping } }

    func closeAll() {
        for channel in stop() { channel.close(promise: nil) }
    }

    private func stop() -> [any Channel] {
        state.withLock { state in
            state.isStopping = true
            return state.entries.values.map(\.channel)
        }
    }
}
