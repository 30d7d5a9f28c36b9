import HummingbirdCore
package import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// The HTTP server in front of a worker: the same routes on Unix sockets, TCP and descriptors from systemd.
///
/// Put it before the worker in a `ServiceGroup`: services are stopped from the last to the first, so it answers until
/// the worker has ended.
package struct ControlPlaneServer: Service {
    private let addresses: [ListenAddress]
    private let responder: RequestResponder
    private let limits: HTTPLimits
    private let logger: Logger
    private let onListening: @Sendable ([BoundAddress]) async -> Void

    /// - Parameters:
    ///   - onListening: Called once, when it listens on all of `addresses`; gets them in the same order, with the real
    ///     port where any free one was asked for. Connections are served when it has returned.
    package init(
        listeningOn addresses: [ListenAddress], routes: RouteTable, authentication: Authentication,
        limits: HTTPLimits = HTTPLimits(), logger: Logger,
        onListening: @escaping @Sendable ([BoundAddress]) async -> Void = { _ in }
    ) {
        self.addresses = addresses
        responder = RequestResponder(
            routes: routes, authentication: authentication, limits: limits,
            gate: RequestGate(limit: limits.databaseRequestsMax), logger: logger)
        self.limits = limits
        self.logger = logger
        self.onListening = onListening
    }

    /// Serves until a graceful shutdown or cancellation.
    ///
    /// At a graceful shutdown no connection is taken any more, idle ones are closed at once, the others after their
    /// answer or `HTTPLimits.stopTimeout`.
    /// - Throws: `ListenError` when it can't listen everywhere; then it listens nowhere.
    package func run() async throws {
        // One thread: it parses and writes, everything else runs on Swift's pool.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            try await serve(on: group)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        try await group.shutdownGracefully()
    }

    private func serve(on group: MultiThreadedEventLoopGroup) async throws {
        let listeners = try await listen(on: group)
        await onListening(listeners.map(\.address))
        await withTaskCancellationOrGracefulShutdownHandler {
            await withDiscardingTaskGroup { tasks in
                for listener in listeners { tasks.addTask { await listener.serve() } }
            }
        } onCancelOrGracefulShutdown: {
            for listener in listeners { listener.stop(within: limits.stopTimeout) }
        }
    }

    private func listen(on group: MultiThreadedEventLoopGroup) async throws -> [Listener] {
        var listeners: [Listener] = []
        do {
            for address in addresses {
                listeners.append(
                    try await Listener(
                        address, responder: responder.respond, limits: limits, group: group, logger: logger))
            }
        } catch {
            for listener in listeners { await listener.abandon() }
            throw error
        }
        return listeners
    }
}
