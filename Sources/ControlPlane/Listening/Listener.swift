import Glibc
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypesHTTP1
import NIOPosix
import Systemd

/// One listening socket with its connections.
///
/// A connection that was accepted is served, also where that happened at the moment of the stop: for a client a lost
/// connection looks like a crash. NIO's own sequence of connections loses those that its event loop takes in the turn in
/// which it closes the socket. Those that still wait in the kernel's queue then are taken by the process that systemd
/// starts next; without a socket of systemd's the kernel resets them.
struct Listener: Sendable {
    let address: BoundAddress
    private let channel: any Channel
    private let arrivals: AsyncStream<any Channel>
    private let connections: ConnectionRegistry
    private let file: SocketFile?
    private let limits: HTTPLimits
    private let http: HTTP1Channel
    private let logger: Logger

    /// A burst of clients must not be refused: for Unix sockets a full queue is an error at once.
    private static let backlog: Int32 = 1024

    /// Binds and listens; connections are taken by `serve()`.
    /// - Throws: `ListenError`.
    init(
        _ address: ListenAddress, responder: @escaping HTTPChannelHandler.Responder, limits: HTTPLimits,
        group: MultiThreadedEventLoopGroup, logger: Logger
    ) async throws {
        let decoder = HTTP1Channel.Configuration.DecoderConfiguration(
            maxHeaderFieldSize: limits.headerBytesMax, maxHeaderListSize: limits.headerBytesMax,
            maxHeaderFieldCount: limits.headerCountMax)
        http = HTTP1Channel(
            responder: responder, configuration: .init(idleTimeout: nil, httpDecoderConfiguration: decoder))
        let connections = ConnectionRegistry(limits)
        let (arrivals, taking) = AsyncStream<any Channel>.makeStream(
            bufferingPolicy: .bufferingOldest(limits.maxConnections))
        // What speaks HTTP is put on when a task takes the connection: a connection that nobody takes, as the server is
        // stopping, would otherwise end the process, since NIO insists that its async channels are finished.
        (channel, file) = try await Self.bind(address, group) { connection in
            connection.eventLoop.makeCompletedFuture {
                try connection.pipeline.syncOperations.addHandler(Arrival(connections, taking))
            }
        }
        let loop = channel.eventLoop
        // Those taken in the turn that closed it become active in the same turn.
        channel.closeFuture.whenComplete { _ in loop.execute { taking.finish() } }
        self.address = BoundAddress(channel.localAddress) ?? .unixSocket(path: "")
        (self.arrivals, self.connections, self.limits, self.logger) = (arrivals, connections, limits, logger)
    }

    /// Asks the file system, the user database or a name server on an event loop: Swift's pool must not wait for them.
    private static func bind(
        _ address: ListenAddress, _ group: MultiThreadedEventLoopGroup,
        _ accept: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws -> (any Channel, SocketFile?) {
        let loop = group.any()
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelInitializer { server in
                server.eventLoop.makeCompletedFuture {
                    try server.pipeline.syncOperations.addHandler(AcceptPause())
                }
            }
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer(accept)
        var file: SocketFile?
        do {
            switch address {
            case .unixSocket(let path, let owners):
                let (descriptor, made) = try await loop.submit {
                    try SocketFile.listen(at: path, group: owners, backlog: Self.backlog)
                }.get()
                file = made
                return (try await listen(descriptor, bootstrap), made)
            case .descriptor(let descriptor):
                guard ListenSockets.isListening(descriptor) else {
                    throw ListenError(address: "\(address)", reason: .notListening)
                }
                return (try await listen(descriptor, bootstrap), nil)
            case .tcp(let host, let port):
                let resolved = try await loop.submit {
                    try SocketAddress.makeAddressResolvingHost(host, port: port)
                }.get()
                return (try await bootstrap.bind(to: resolved).get(), nil)
            }
        } catch {
            file?.remove()
            throw ListenError(address, error)
        }
    }

    private static func listen(_ descriptor: Int32, _ bootstrap: ServerBootstrap) async throws -> any Channel {
        let channel = try await bootstrap.withBoundSocket(descriptor).get()
        // NIO has made the queue shorter than it was.
        _ = Glibc.listen(descriptor, backlog)
        return channel
    }

    /// Serves connections until `stop` or cancellation, and returns when all of them are closed.
    func serve() async {
        await withDiscardingTaskGroup { tasks in
            for await connection in arrivals { tasks.addTask { await serve(connection) } }
        }
        await close()
    }

    private func serve(_ connection: any Channel) async {
        let ready = connection.eventLoop.flatSubmit { () -> EventLoopFuture<HTTP1Channel.Value> in
            guard connection.isActive else {
                connection.close(promise: nil)
                return connection.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
            }
            return http.setup(channel: connection, logger: logger).flatMapThrowing { value in
                let pipeline = connection.pipeline.syncOperations
                let codec = try pipeline.handler(type: HTTP1ToHTTPServerCodec.self)
                try pipeline.addHandler(
                    ConnectionGuard(limits: limits, connections: connections), position: .before(codec))
                let arrival = try pipeline.context(handlerType: Arrival.self)
                pipeline.removeHandler(context: arrival, promise: nil)
                return value
            }
        }
        guard let value = try? await ready.get() else {
            // Nobody would watch over it.
            connection.close(promise: nil)
            return
        }
        connection.setOption(.autoRead, value: true).whenComplete { _ in }
        await http.handle(value: value, logger: logger)
    }

    /// Takes no more connections, closes the idle ones, and the others after their answers or `limit`. A connection
    /// that was taken and has not asked anything yet may do so for `HTTPLimits.firstRequestGrace`.
    func stop(within limit: Duration) {
        // While the descriptor is open, so that the file is told from another one's.
        file?.remove()
        channel.close(promise: nil)
        connections.quiesce()
        channel.eventLoop.scheduleTask(in: TimeAmount(limit)) { connections.closeAll() }
    }

    /// Closes it without having served.
    func abandon() async {
        file?.remove()
        await close()
    }

    private func close() async {
        // That it is closed already is no failure.
        try? await channel.close().get()
    }
}
