import Glibc
import NIOCore

/// Accepts nothing for a while when the system has no room for another connection: it would be asked again at once, and
/// without end.
final class AcceptPause: ChannelInboundHandler {
    typealias InboundIn = Never

    private static let pause = TimeAmount.seconds(1)

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? IOError, [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.errnoCode) {
            let server = context.channel
            server.setOption(.autoRead, value: false).whenComplete { _ in }
            server.eventLoop.scheduleTask(in: Self.pause) {
                server.setOption(.autoRead, value: true).whenComplete { _ in }
            }
        }
        context.fireErrorCaught(error)
    }
}
