import API
import ControlPlane
import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// Live events over real connections.
@Suite(.database(), .timeLimit(.minutes(5))) struct EventStreamTests {
    let database = TestDatabase.current

    @Test func `a stream of one job begins with the job and tells each change`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob()
        try await withAPI(on: database) { api in
            let stream = try await OpenStream(api, "/api/jobs/\(id.text)/events", as: .user(tenants.member))
            #expect(await stream.next(containing: "event: job\n").contains(#""status":"pending""#))
            try await api.waitUntilWatching()
            _ = try await api.send("POST", "/api/jobs/\(id.text)/cancel", as: .operator)
            #expect(await stream.next(containing: #""status":"cancelled""#).contains(id.text))
            _ = try await api.send("DELETE", "/api/jobs/\(id.text)", as: .operator)
            #expect(await stream.next(containing: "event: deleted\n").contains(id.text))
        }
    }

    @Test func `a workspace's stream tells of its own jobs alone, however they are changed`() async throws {
        let tenants = try await Tenants(in: database)
        try await withAPI(on: database) { api in
            let mine = try await OpenStream(api, "/api/events", as: .user(tenants.member))
            let theirs = try await OpenStream(api, "/api/events", as: .user(tenants.stranger))
            let all = try await OpenStream(api, "/api/events", as: .operator)
            let other = try await OpenStream(
                api, "/api/events?workspace_id=\(tenants.theirs.text)", as: .user(tenants.member))
            for stream in [mine, theirs, all, other] { _ = await stream.next(containing: "event: reset\n") }
            try await api.waitUntilWatching()
            let first = try await database.insertJob()
            let second = try await database.insertJob(workspace: tenants.theirs)
            #expect(await mine.next(containing: first.text).contains("event: job\n"))
            #expect(await theirs.next(containing: second.text).contains("event: job\n"))
            _ = await all.next(containing: first.text)
            _ = await all.next(containing: second.text)
            // One that is changed later shows that the others had time to come, and didn't.
            let last = try await database.insertJob()
            _ = await mine.next(containing: last.text)
            #expect(!mine.received.contains(second.text))
            #expect(!theirs.received.contains(first.text))
            #expect(!other.received.contains(first.text) && !other.received.contains(second.text))
        }
    }

    @Test func `a stream of a job that isn't yours to see is not found`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob()
        try await withAPI(on: database) { api in
            let answer = try await api.send("GET", "/api/jobs/\(id.text)/events", as: .user(tenants.stranger))
            #expect(answer.status == 404)
            #expect(api.hub.streamCount == 0)
        }
    }

    @Test func `one connection listens however many streams there are, and none when there are none`() async throws {
        try await withAPI(on: database) { api in
            func listeners() async throws -> Int {
                try await database.value(
                    """
                    SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND query LIKE '%jobworker_changed%' AND pid <> pg_backend_pid()
                    """) ?? 0
            }
            #expect(try await listeners() == 0)
            var streams: [OpenStream] = []
            for _ in 0..<20 { streams.append(try await OpenStream(api, "/api/events", as: .operator)) }
            for stream in streams { _ = await stream.next(containing: "event: reset\n") }
            try await api.waitUntilWatching()
            let count: Int? = try await database.value("SELECT count(*) FROM jobworker.watchers")
            #expect(count == 1)
            #expect(api.hub.streamCount == 20)
            streams = []
        }
    }

    @Test func `beyond their number streams are refused, and a closed one makes room`() async throws {
        try await withAPI(on: database) { api in
            var streams: [OpenStream] = []
            for _ in 0..<EventHub.streamsMax { streams.append(try await OpenStream(api, "/api/events", as: .operator)) }
            for stream in streams { _ = await stream.next(containing: "event: reset\n") }
            let refused = try await api.send("GET", "/api/events", as: .operator)
            #expect(refused.status == 503 && refused.code == "too_many_streams")
            #expect(try await api.send("GET", "/api/jobs", as: .operator).status == 200)
            streams.removeFirst()
            // Its end is noticed when something is written to it.
            try await api.waitUntil { api.hub.streamCount < EventHub.streamsMax }
        }
    }

    @Test func `a client that doesn't read is dropped, and delays nobody`() async throws {
        try await withAPI(on: database) { api in
            let deaf = try await OpenStream(api, "/api/events", as: .operator, reads: false)
            let other = try await OpenStream(api, "/api/events", as: .operator)
            _ = await other.next(containing: "event: reset\n")
            try await api.waitUntilWatching()
            #expect(api.hub.streamCount == 2)
            // More than sockets and backlog hold.
            for _ in 0..<60 {
                try await database.query(
                    """
                    INSERT INTO public.jobs (workspace_id, job_type, payload, error_message)
                    SELECT \(TestDatabase.workspace), 'noop', '{}', repeat('x', 1000) FROM generate_series(1, 100)
                    """)
                if api.hub.streamCount == 1 { break }
                try await Task.sleep(for: .milliseconds(120))
            }
            try await api.waitUntil { api.hub.streamCount <= 1 }
            withExtendedLifetime(deaf) {}
        }
    }

    @Test func `a member who is suspended hears no more, and a stream ends with its token`() async throws {
        let tenants = try await Tenants(in: database)
        try await withAPI(on: database) { api in
            let short = try await OpenStream(
                api, "/api/events", as: .bearer(APIUnderTest.token(for: tenants.admin, expiresIn: -25)))
            let stream = try await OpenStream(api, "/api/events", as: .user(tenants.member))
            _ = await stream.next(containing: "event: reset\n")
            try await api.waitUntilWatching()
            try await database.query(
                "UPDATE public.workspace_members SET status = 'suspended' WHERE user_id = \(tenants.member)")
            // Rights are looked at again with each comment.
            _ = await stream.next(containing: ": still here\n")
            _ = await stream.next(containing: ": still here\n")
            let id = try await database.insertJob()
            _ = await stream.next(containing: ": still here\n")
            #expect(!stream.received.contains(id.text))
            #expect(await short.ended())
        }
    }

    @Test func `nothing is notified while nobody watches`() async throws {
        let connection = try await Connection.open(database.settings)
        try await connection.runScript("LISTEN jobworker_changed")
        let id = try await database.insertJob()
        try await database.query("UPDATE public.jobs SET status = 'cancelled' WHERE id = \(id)")
        try await database.query("SELECT pg_notify('jobworker_changed', 'end')")
        #expect(try await connection.notifications(timeout: .seconds(10)).map(\.payload) == ["end"])
        try await database.query("INSERT INTO jobworker.watchers VALUES ('test', now() + interval '1 minute')")
        try await database.query("UPDATE public.jobs SET worker_heartbeat_at = now() WHERE id = \(id)")
        try await database.query("UPDATE public.jobs SET status = 'pending' WHERE id = \(id)")
        #expect(try await connection.notifications(timeout: .seconds(10)).map(\.payload) == [id.text])
        await connection.close()
    }

    @Test func `who changes jobs asks for watchers only while there may be some`() async throws {
        func mayBeWatched() async throws -> Bool {
            try await database.value("SELECT pg_sequence_last_value('jobworker.changes_watched') IS NOT NULL") ?? true
        }
        #expect(try await !mayBeWatched())
        try await database.query("INSERT INTO jobworker.watchers VALUES ('a', now() + interval '1 minute')")
        try await database.query("INSERT INTO jobworker.watchers VALUES ('b', now() + interval '1 minute')")
        try await database.query("DELETE FROM jobworker.watchers WHERE id = 'a'")
        #expect(try await mayBeWatched())
        // While somebody comes, nobody says that there are none.
        let coming = try await Connection.open(database.settings)
        try await coming.runScript(
            "BEGIN; INSERT INTO jobworker.watchers VALUES ('c', now() + interval '1 minute')")
        try await database.query("DELETE FROM jobworker.watchers WHERE id = 'b'")
        #expect(try await mayBeWatched())
        try await coming.runScript("COMMIT")
        await coming.close()
        try await database.query("DELETE FROM jobworker.watchers")
        #expect(try await !mayBeWatched())
    }
}

extension APIUnderTest {
    /// Until changes are announced and heard of.
    func waitUntilWatching() async throws {
        try await waitUntil { try await database.value("SELECT count(*) FROM jobworker.watchers") == 1 }
        try await waitUntil { hub.isListening }
    }

    func waitUntil(_ condition: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(45)
        while try await !condition() {
            guard ContinuousClock.now < deadline else { throw NeverHappened() }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    struct NeverHappened: Error {}
}
