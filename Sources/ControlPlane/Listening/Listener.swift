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
    private let channel: NIOAsyncChannel<HTTP1Channel.Value, Never>
    private let connections: ConnectionRegistry
    private let file: SocketFile?
    private let http: HTTP1Channel
    private let logger: Logger

    private static let backlog: Int32 = 256

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
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
        @Sendable func accept(_ channel: any Channel) -> EventLoopFuture<HTTP1Channel.Value> {
            guard connections.admit(channel) else {
                channel.close(promise: nil)
                return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
            }
            return http.setup(channel: channel, logger: logger).flatMapThrowing { value in
                let pipeline = channel.pipeline.syncOperations
                let codec = try pipeline.handler(type: HTTP1ToHTTPServerCodec.self)
                try pipeline.addHandler(
                    ConnectionGuard(limits: limits, connections: connections), position: .before(codec))
                return value
            }
        }
        let loop = group.any()
        switch address {
        case .unixSocket(let path, let owners):
            // Asks the file system and the user database: not on a thread of Swift's pool.
            let (descriptor, file) = try await loop.submit {
                try SocketFile.listen(at: path, group: owners, backlog: Self.backlog)
            }.get()
            self.file = file
            channel = try await bootstrap.bind(descriptor, childChannelInitializer: accept)
        case .descriptor(let descriptor):
            guard ListenSockets.isListening(descriptor) else {
                throw ListenError(address: "\(address)", reason: .notListening)
            }
            file = nil
            channel = try await bootstrap.bind(descriptor, childChannelInitializer: accept)
        case .tcp(let host, let port):
            file = nil
            do {
                // The name may have to be asked for: not on a thread of Swift's pool.
                let resolved = try await loop.submit {
                    try SocketAddress.makeAddressResolvingHost(host, port: port)
                }.get()
                channel = try await bootstrap.bind(to: resolved, childChannelInitializer: accept)
            } catch let error as IOError where error.errnoCode == EADDRINUSE {
                throw ListenError(address: "\(address)", reason: .inUse)
            } catch let error as IOError {
                throw ListenError(address: "\(address)", reason: .system("bind", code: error.errnoCode))
            } catch {
                throw ListenError(address: "\(address)", reason: .other("\(error)"))
            }
        }
        self.address = BoundAddress(channel.channel.localAddress) ?? .unixSocket(path: "")
        (self.connections, self.http, self.logger) = (connections, http, logger)
    }

    /// Serves connections until `stop` or cancellation, and returns when all of them are closed.
    func serve() async throws {
        try await channel.executeThenClose { inbound in
            try await withThrowingDiscardingTaskGroup { tasks in
                for try await connection in inbound {
                    tasks.addTask { await http.handle(value: connection, logger: logger) }
                }
            }
        }
    }

    /// Takes no more connections, closes the idle ones, and the others after their answers or `limit`.
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
