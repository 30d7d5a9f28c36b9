import NIOCore

/// Who keeps whom waiting on one connection, and until when that is all right.
struct ConnectionClock {
    enum Wait: Hashable {
        /// For the first byte of a request.
        case request
        /// For the rest of its headers.
        case head
        case body
        /// The client waits for its answer: as long as that takes.
        case answer
        /// For the client to hang up.
        case farewell
    }

    private(set) var wait = Wait.request
    /// Since when it waits for this.
    private(set) var since: NIODeadline

    private var unanswered = 0
    private var isHeadPartial = false
    private var isBodyOpen = false
    private var isLeaving = false
    private var unreadSince: NIODeadline?

    init(now: NIODeadline) { since = now }

    /// Whether a request is there that was not answered yet.
    var isAnswerDue: Bool { unanswered > 0 }

    mutating func bytesArrived(now: NIODeadline) {
        isHeadPartial = true
        update(now)
    }

    mutating func headArrived(now: NIODeadline) {
        isHeadPartial = false
        isBodyOpen = true
        unanswered += 1
        update(now)
    }

    /// The body is complete, or nobody waits for the rest of it.
    mutating func bodyEnded(now: NIODeadline) {
        isBodyOpen = false
        update(now)
    }

    mutating func answerEnded(now: NIODeadline) {
        unanswered = max(0, unanswered - 1)
        update(now)
    }

    /// The last answer is written.
    mutating func leaves(now: NIODeadline) {
        isLeaving = true
        update(now)
    }

    /// The client reads its answers slower than they are written, or has caught up.
    mutating func writability(_ isWritable: Bool, now: NIODeadline) {
        unreadSince = isWritable ? nil : unreadSince ?? now
    }

    /// When the client's time is up; `nil` while nothing is expected of it.
    func deadline(_ limits: HTTPLimits) -> NIODeadline? {
        let end: NIODeadline? =
            switch wait {
            case .request: since + TimeAmount(limits.idleTimeout)
            case .head: since + TimeAmount(limits.headTimeout)
            case .body: since + TimeAmount(limits.bodyTimeout)
            case .answer: nil
            case .farewell: since + TimeAmount(limits.lingerTimeout)
            }
        let unreadEnd = unreadSince.map { $0 + TimeAmount(limits.unreadTimeout) }
        return [end, unreadEnd].compactMap { $0 }.min()
    }

    /// Whether the body is all that is late: then an answer can still be given.
    func isBodyLate(_ limits: HTTPLimits, now: NIODeadline) -> Bool {
        wait == .body && isAnswerDue && since + TimeAmount(limits.bodyTimeout) <= now
    }

    private mutating func update(_ now: NIODeadline) {
        let wait: Wait =
            if isLeaving { .farewell }
            // While an earlier request is worked on, the server itself may be what holds a body up.
            else if isBodyOpen, unanswered <= 1 { .body } else if unanswered > 0 { .answer } else if isHeadPartial {
                .head
            } else { .request }
        if wait != self.wait { (self.wait, since) = (wait, now) }
    }
}
