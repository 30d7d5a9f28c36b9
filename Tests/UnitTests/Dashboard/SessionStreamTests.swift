import HTTPTypes
import HummingbirdCore
import NIOCore
import Synchronization
import Testing

@testable import Dashboard

/// What goes on for long ends with the session.
struct SessionStreamTests {
    private final class Sent: ResponseBodyWriter, Sendable {
        let texts = Mutex<[String]>([])
        let isFinished = Mutex(false)

        func write(_ buffer: ByteBuffer) async throws { texts.withLock { $0.append(String(buffer: buffer)) } }
        func finish(_ trailingHeaders: HTTPFields?) async throws { isFinished.withLock { $0 = true } }
    }

    private func sent(asLongAs isAlive: @escaping @Sendable (Int) throws -> Bool) async throws -> Sent {
        let endless = Response(
            status: .ok,
            body: ResponseBody { writer in
                for number in 1...5 { try await writer.write(ByteBuffer(string: "\(number)")) }
                try await writer.finish(nil)
            })
        let asked = Counter()
        let bounded = SessionStream(response: endless, interval: .zero) { try isAlive(asked.next()) }.bounded
        let sent = Sent()
        try await bounded.body.write(sent)
        return sent
    }

    private final class Counter: Sendable {
        private let count = Mutex(0)
        func next() -> Int {
            count.withLock { count in
                count += 1
                return count
            }
        }
    }

    @Test func `a stream ends properly when the session is over`() async throws {
        let sent = try await sent { $0 < 3 }
        #expect(sent.texts.withLock { $0 } == ["1", "2"])
        #expect(sent.isFinished.withLock { $0 })
    }

    @Test func `a session that nobody can ask about goes on`() async throws {
        struct NoAnswer: Error {}
        let sent = try await sent { _ in throw NoAnswer() }
        #expect(sent.texts.withLock { $0 } == ["1", "2", "3", "4", "5"])
        #expect(sent.isFinished.withLock { $0 })
    }
}
