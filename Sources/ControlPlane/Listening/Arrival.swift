import NIOCore

/// Hands a connection over once it is open, and keeps what comes until there is somebody to read it: a client that says
/// at once that no more will come is read to its end by NIO, whoever reads.
final class Arrival: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connections: ConnectionRegistry
    private let taking: AsyncStream<any Channel>.Continuation
    /// No more than the socket's buffer holds.
    private var early: [ByteBuffer] = []
    private var isInputClosed = false

    init(_ connections: ConnectionRegistry, _ taking: AsyncStream<any Channel>.Continuation) {
        (self.connections, self.taking) = (connections, taking)
    }

    func channelActive(context: ChannelHandlerContext) {
        let connection = context.channel
        context.fireChannelActive()
        let descriptor = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { $0 }
        guard connections.admit(connection, descriptor: descriptor ?? 0), case .enqueued = taking.yield(connection)
        else {
            return connection.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { early.append(unwrapInboundIn(data)) }

    func channelReadComplete(context: ChannelHandlerContext) {}

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent {
            isInputClosed = true
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func removeHandler(context: ChannelHandlerContext, removalToken: ChannelHandlerContext.RemovalToken) {
        for bytes in early { context.fireChannelRead(wrapInboundOut(bytes)) }
        if !early.isEmpty { context.fireChannelReadComplete() }
        if isInputClosed { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        context.leavePipeline(removalToken: removalToken)
    }
}
