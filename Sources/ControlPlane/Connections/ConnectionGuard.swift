import NIOCore
import NIOHTTP1

/// Holds one connection to the limits and to the rules of HTTP/1.1 that the layers above don't check.
///
/// Stands between NIO's parser and the rest, so that it sees versions and headers as they came. It
/// - ends the connection when the client's time is up (`ConnectionClock`), answering 408 where that can be heard;
/// - refuses a request without exactly one `Host`, and a body that is too long;
/// - closes after the last answer in two steps, so that an answer sent early is read before the connection breaks;
/// - lets a connection that has not been answered yet have one answer when the server stops.
///
/// Lives on its connection's event loop alone.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let limits: HTTPLimits
    private let connections: ConnectionRegistry
    private var clock = ConnectionClock(now: .now())
    private var timer: (deadline: NIODeadline, task: Scheduled<Void>)?

    private var requestCount = 0
    private var answerCount = 0
    private var bodyBytes = 0
    /// No request is taken after those that are there.
    private var isLast = false
    /// The server stops: the next request is the last.
    private var isStopping = false
    /// What still comes in is thrown away.
    private var isDeaf = false
    /// The last answer is written.
    private var isLeaving = false
    /// The answer being written is the guard's own instead of the one from above.
    private var isReplacing = false

    init(limits: HTTPLimits, connections: ConnectionRegistry) {
        self.limits = limits
        self.connections = connections
    }

    func handlerAdded(context: ChannelHandlerContext) {
        clockChanged(context)
        if connections.isStopping { stop(context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.task.cancel()
        timer = nil
    }

    // MARK: From the client

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDeaf else { return }
        switch unwrapInboundIn(data) {
        case .head(let head): read(head, data, context)
        case .body(let bytes):
            bodyBytes += bytes.readableBytes
            if bodyBytes > limits.bodyBytesMax { return refuse(RequestRefusal.bodyTooLarge, context) }
            context.fireChannelRead(data)
        case .end:
            clock.bodyEnded(now: .now())
            isDeaf = isLast
            context.fireChannelRead(data)
            clockChanged(context)
        }
    }

    private func read(_ head: HTTPRequestHead, _ data: NIOAny, _ context: ChannelHandlerContext) {
        let hosts = head.headers["Host"].count
        guard hosts == 1 || (hosts == 0 && head.version == .http1_0) else {
            return refuse(HTTPParserError.invalidHeaderToken, context)
        }
        requestCount += 1
        bodyBytes = 0
        isLast = isStopping || !head.isKeepAlive
        clock.headArrived(now: .now())
        clockChanged(context)
        context.fireChannelRead(data)
        let length = head.headers.first(name: "Content-Length").flatMap { Int($0) } ?? 0
        if length > limits.bodyBytesMax { return refuse(RequestRefusal.bodyTooLarge, context) }
        // Behind a request that is still worked on, this would look like that one's answer.
        if answerCount == requestCount - 1,
            head.headers["Expect"].contains(where: { $0.lowercased() == "100-continue" })
        {
            let goOn = HTTPResponseHead(version: .http1_1, status: .continue)
            context.writeAndFlush(wrapOutboundOut(.head(goOn)), promise: nil)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if clock.wait == .request, requestCount == answerCount {
            // Something came, but no whole head.
            clock.bytesArrived(now: .now())
            clockChanged(context)
        }
        context.fireChannelReadComplete()
        // The layers above have stopped reading; the end of the input must still be seen.
        if isLeaving { context.read() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isDeaf else { return }
        // After what can't be parsed, nothing can be trusted to be a request.
        refuse(error, context)
    }

    private func refuse(_ error: any Error, _ context: ChannelHandlerContext) {
        isLast = true
        isDeaf = true
        clock.bodyEnded(now: .now())
        clockChanged(context)
        context.fireErrorCaught(error)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if isLeaving, case .some(.inputClosed) = event as? ChannelEvent { return context.close(promise: nil) }
        // A request on its way would be lost with the connection, and its client told nothing.
        if event is ChannelShouldQuiesceEvent, requestCount == 0 || clock.wait == .head { return stop(context) }
        context.fireUserInboundEventTriggered(event)
    }

    /// Waits for a request for a while; its answer is the last.
    private func stop(_ context: ChannelHandlerContext) {
        guard !isStopping else { return }
        isStopping = true
        let asked = requestCount
        context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(limits.firstRequestGrace)) {
            if self.requestCount == asked { context.close(promise: nil) }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.task.cancel()
        timer = nil
        context.fireChannelInactive()
    }

    // MARK: To the client

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isLeaving else { return promise?.fail(ChannelError.outputClosed) ?? () }
        switch unwrapOutboundIn(data) {
        case .head(let head): write(head, promise, context)
        case .body:
            if isReplacing { return promise?.succeed() ?? () }
            context.write(data, promise: promise)
        case .end: writeEnd(data, promise, context)
        }
    }

    private func write(_ head: HTTPResponseHead, _ promise: EventLoopPromise<Void>?, _ context: ChannelHandlerContext) {
        var head = head
        guard head.status.code >= 200 else { return context.write(wrapOutboundOut(.head(head)), promise: promise) }
        answerCount += 1
        if answerCount > requestCount {
            // No request belongs to this answer: it is for bytes that were none, and without a body.
            let refusal = APIError.malformedRequest.text
            isReplacing = true
            head.headers.replaceOrAdd(name: "Content-Type", value: "application/json")
            head.headers.replaceOrAdd(name: "Content-Length", value: "\(refusal.utf8.count)")
            context.write(wrapOutboundOut(.head(head)), promise: promise)
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: refusal)))), promise: nil)
            return
        }
        if !head.isKeepAlive { isLast = true }
        if isLast, answerCount == requestCount { head.headers.replaceOrAdd(name: "Connection", value: "close") }
        context.write(wrapOutboundOut(.head(head)), promise: promise)
    }

    private func writeEnd(_ data: NIOAny, _ promise: EventLoopPromise<Void>?, _ context: ChannelHandlerContext) {
        clock.answerEnded(now: .now())
        if isLast, answerCount >= requestCount {
            isLeaving = true
            isDeaf = true
            clock.leaves(now: .now())
            let written = promise ?? context.eventLoop.makePromise(of: Void.self)
            written.futureResult.assumeIsolated().whenComplete { _ in
                context.close(mode: .output, promise: nil)
                context.read()
            }
            context.write(data, promise: written)
        } else {
            context.write(data, promise: promise)
        }
        clockChanged(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        clock.writability(context.channel.isWritable, now: .now())
        clockChanged(context)
        context.fireChannelWritabilityChanged()
    }

    // MARK: Time

    private func clockChanged(_ context: ChannelHandlerContext) {
        connections.note(context.channel, waitsSince: clock.wait == .answer ? nil : clock.since)
        guard let deadline = clock.deadline(limits) else { return }
        // A timer that rings too early looks again.
        if let timer, timer.deadline <= deadline { return }
        timer?.task.cancel()
        let task = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.timerRang(context) }
        timer = (deadline, task)
    }

    private func timerRang(_ context: ChannelHandlerContext) {
        timer = nil
        let now = NIODeadline.now()
        guard let deadline = clock.deadline(limits), deadline <= now else { return clockChanged(context) }
        if clock.isBodyLate(limits, now: now) {
            refuse(RequestRefusal.bodyTooSlow, context)
        } else {
            context.close(promise: nil)
        }
    }
}
