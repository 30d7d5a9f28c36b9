import Glibc
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypesHTTP1
import NIOPosix
import Systemd

/// One listening socket with its connections.
struct Listener: Sendable {
    let address: BoundAddress
    private let channel: NIOAsyncChannel<any Channel, Never>
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
        let http = HTTP1Channel(
            responder: responder, configuration: .init(idleTimeout: nil, httpDecoderConfiguration: decoder))
        let connections = ConnectionRegistry(limit: limits.maxConnections)
        // What speaks HTTP is put on when a task takes the connection: a connection that nobody takes, as the server is
        // stopping, would otherwise end the process, since NIO insists that its async channels are finished.
        @Sendable func accept(_ channel: any Channel) -> EventLoopFuture<any Channel> {
            guard connections.admit(channel) else {
                channel.close(promise: nil)
                return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
            }
            return channel.eventLoop.makeSucceededFuture(channel)
        }
        (channel, file) = try await Self.bind(address, group, accept)
        self.address = BoundAddress(channel.channel.localAddress) ?? .unixSocket(path: "")
        (self.connections, self.http, self.limits, self.logger) = (connections, http, limits, logger)
    }

    /// Asks the file system, the user database or a name server on an event loop: Swift's pool must not wait for them.
    private static func bind(
        _ address: ListenAddress, _ group: MultiThreadedEventLoopGroup,
        _ accept: @escaping @Sendable (any Channel) -> EventLoopFuture<any Channel>
    ) async throws -> (NIOAsyncChannel<any Channel, Never>, SocketFile?) {
        let loop = group.any()
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            // Nothing is read before there is somebody to read it.
            .childChannelOption(.autoRead, value: false)
        var file: SocketFile?
        do {
            switch address {
            case .unixSocket(let path, let owners):
                let (descriptor, made) = try await loop.submit {
                    try SocketFile.listen(at: path, group: owners, backlog: Self.backlog)
                }.get()
                file = made
                return (try await bootstrap.bind(descriptor, childChannelInitializer: accept), made)
            case .descriptor(let descriptor):
                guard ListenSockets.isListening(descriptor) else {
                    throw ListenError(address: "\(address)", reason: .notListening)
                }
                return (try await bootstrap.bind(descriptor, childChannelInitializer: accept), nil)
            case .tcp(let host, let port):
                let resolved = try await loop.submit {
                    try SocketAddress.makeAddressResolvingHost(host, port: port)
                }.get()
                return (try await bootstrap.bind(to: resolved, childChannelInitializer: accept), nil)
            }
        } catch {
            file?.remove()
            throw ListenError(address, error)
        }
    }

    /// Serves connections until `stop` or cancellation, and returns when all of them are closed.
    func serve() async throws {
        try await channel.executeThenClose { inbound in
            try await withThrowingDiscardingTaskGroup { tasks in
                for try await connection in inbound {
                    tasks.addTask { await serve(connection) }
                }
            }
        }
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
                return value
            }
        }
        guard let value = try? await ready.get() else { return }
        connection.setOption(.autoRead, value: true).whenComplete { _ in }
        await http.handle(value: value, logger: logger)
    }

    /// Takes no more connections, closes the idle ones, and the others after their answers or `limit`. A connection
    /// that was taken and has not asked anything yet may do so for `HTTPLimits.firstRequestGrace`.
    func stop(within limit: Duration) {
        // While the descriptor is open, so that the file is told from another one's.
        file?.remove()
        channel.channel.close(promise: nil)
        connections.quiesce()
        channel.channel.eventLoop.scheduleTask(in: TimeAmount(limit)) { connections.closeAll() }
    }

    /// Closes it without having served.
    func abandon() async {
        file?.remove()
        try? await channel.executeThenClose { _ in }
    }
}
