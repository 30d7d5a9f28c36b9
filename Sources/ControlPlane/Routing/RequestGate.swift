import Synchronization

/// How many requests that need the database are worked on at once. More are turned away at once: they would only wait
/// for its few connections, and hold memory meanwhile.
///
/// A `Mutex`: requests come and go on all threads.
package final class RequestGate: Sendable {
    private let limit: Int
    private let count = Mutex(0)

    package init(limit: Int) { self.limit = limit }

    /// - Throws: 503 where there is no room.
    @discardableResult
    package func pass<Value>(_ work: () async throws -> Value) async throws -> Value {
        guard
            count.withLock({ count in
                guard count < limit else { return false }
                count += 1
                return true
            })
        else { throw APIError.busy }
        defer { count.withLock { $0 -= 1 } }
        return try await work()
    }
}
