import Postgres
import Support
import Testing

@Suite(.database(.nothing)) struct ListenerTests {
    let database = TestDatabase.current

    /// Runs a listener for the time of `body`, which gets its events.
    private func listening(
        to channels: [String], roundTripInterval: Duration = .seconds(10),
        _ body: (AsyncStream<Listener.Event>) async throws -> Void
    ) async throws {
        let (events, report) = AsyncStream<Listener.Event>.makeStream()
        var settings = database.settings
        settings.applicationName = "listener"
        let listener = Listener(settings, channels: channels, roundTripInterval: roundTripInterval)
        try await withThrowingTaskGroup { group in
            group.addTask { await listener.run { report.yield($0) } }
            try await body(events)
            group.cancelAll()
        }
    }

    /// The next event, in words.
    private func next(_ events: AsyncStream<Listener.Event>) async -> String {
        for await event in events {
            switch event {
            case .listening: return "listening"
            case .notification(let notification): return "\(notification.channel): \(notification.payload)"
            case .lost(let error): return "lost: \(error.reason)"
            }
        }
        return "ended"
    }

    @Test func `notifications come in order, from the channels asked for`() async throws {
        try await listening(to: ["due", "Cancel me"]) { events in
            #expect(await next(events) == "listening")
            try await database.run("NOTIFY other, 'x'; NOTIFY due, 'a'; NOTIFY \"Cancel me\", 'b'; NOTIFY due")
            #expect(await next(events) == "due: a")
            #expect(await next(events) == "Cancel me: b")
            #expect(await next(events) == "due: ")
        }
    }

    @Test func `a listener whose session is ended says so and listens again`() async throws {
        try await listening(to: ["due"]) { events in
            #expect(await next(events) == "listening")
            try await database.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'listener' AND datname = current_database()"
            )
            #expect(await next(events) == "lost: connectionLost")
            #expect(await next(events) == "listening")
            try await database.run("NOTIFY due, 'again'")
            #expect(await next(events) == "due: again")
        }
    }

    @Test func `the round trip that tries the session isn't passed on`() async throws {
        try await listening(to: ["due"], roundTripInterval: .milliseconds(10)) { events in
            #expect(await next(events) == "listening")
            // Returns after some round trips have been made.
            while try await database.value(
                """
                SELECT count(*) FROM pg_stat_activity WHERE application_name = 'listener' AND datname = current_database()
                  AND query LIKE '%listen.self%' AND query_start > backend_start + interval '100 ms'
                """) == 0
            { await Task.yield() }
            try await database.run("NOTIFY due, 'real'")
            #expect(await next(events) == "due: real")
        }
    }
}
