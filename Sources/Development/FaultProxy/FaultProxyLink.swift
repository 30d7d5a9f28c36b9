import Glibc

/// One client's connection and the one to the server that belongs to it.
final class FaultProxyLink {
    /// What has been read and waits to be written.
    struct Pipe {
        private(set) var chunks: [(dueAt: ContinuousClock.Instant, bytes: ArraySlice<UInt8>)] = []
        private(set) var size = 0
        /// Its reader has nothing more.
        var hasEnded = false

        static let limit = 1 << 20

        var isEmpty: Bool { chunks.isEmpty }
        var mayRead: Bool { !hasEnded && size < Pipe.limit }
        var nextDue: ContinuousClock.Instant? { chunks.first?.dueAt }

        mutating func append(_ bytes: ArraySlice<UInt8>, dueAt: ContinuousClock.Instant) {
            guard !bytes.isEmpty else { return }
            chunks.append((dueAt, bytes))
            size += bytes.count
        }

        /// Writes what is due.
        /// - Returns: Whether the receiver is still there.
        mutating func write(to descriptor: Int32, now: ContinuousClock.Instant) -> Bool {
            while let chunk = chunks.first, chunk.dueAt <= now {
                let count = chunk.bytes.withUnsafeBytes {
                    send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count >= 0 else { return errno == EAGAIN || errno == EINTR }
                size -= count
                chunks[0].bytes = chunk.bytes.dropFirst(count)
                if chunks[0].bytes.isEmpty { chunks.removeFirst() } else { return true }
            }
            return true
        }
    }

    let client: Int32
    let server: Int32
    var toServer = Pipe()
    var toClient = Pipe()
    var clientMessages = ClientMessages()
    var serverMessages = ServerMessages()
    /// Nothing passes any more.
    var isDead = false
    /// A rule has hit: the answer that is to come is not passed on.
    var pendingHit: (rule: FaultProxy.Rule, hit: AsyncStream<Void>.Continuation)?
    var dropsReply: Bool { pendingHit != nil }

    var application: String? { clientMessages.application }

    init(client: Int32, server: Int32) {
        self.client = client
        self.server = server
    }

    /// - Parameter resetting: As a machine that crashed: what the client hasn't read yet is lost to it, on TCP.
    func close(resetting: Bool) {
        if resetting { StreamSocket.reset(client) } else { Glibc.close(client) }
        Glibc.close(server)
    }

    /// Reads what is there without waiting.
    /// - Returns: `nil` at the end.
    static func read(_ descriptor: Int32, into buffer: inout [UInt8]) -> ArraySlice<UInt8>? {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count < 0, errno == EAGAIN || errno == EINTR { return [] }
        return count > 0 ? buffer.prefix(count) : nil
    }
}
