import ControlPlane
package import FoundationEssentials
import Glibc
import JobWorker
package import Logging
package import Postgres
import ServiceLifecycle
import Synchronization
package import Tokens

/// Tells open streams which jobs have changed, whoever changed them.
///
/// However many streams there are, one connection listens, and it does so only while there are any. A notification is
/// a hint that names a job; what the streams are told is what the database then says, and only to those who may see
/// that job.
///
/// A `Mutex`: streams come and go on all threads, and each access is short.
package final class EventHub: Service {
    /// Most streams at once.
    package static let streamsMax = 64
    /// Events a stream may be behind before it is ended.
    static let backlogMax = 256

    private static let channel = "jobworker_changed"
    /// Notifications that come within this time are looked up together.
    private static let gathering = Duration.milliseconds(100)
    /// More changes at once than anybody follows one by one.
    private static let hintsMax = 2000

    private struct State {
        var streams: [Int: EventStream.Entry] = [:]
        var nextID = 0
        /// Jobs that may have changed, each once, in the order in which that was heard.
        var hints: [UUID] = []
        var hinted: Set<UUID> = []
        var hasOverflown = false
        var isListening = false
        /// When something was last heard of.
        var heardAt = ContinuousClock.now
        var isClosed = false
        /// Rings when there are hints; of the present time of listening.
        var bell: AsyncStream<Void>.Continuation?

        mutating func note(_ id: UUID) {
            if hints.count >= EventHub.hintsMax {
                hasOverflown = true
            } else if hinted.insert(id).inserted {
                hints.append(id)
            }
        }
    }

    private let database: APIDatabase
    private let settings: ConnectionSettings
    private let logger: Logger
    private let state = Mutex(State())
    private let wakeups: AsyncStream<Void>
    private let wakeup: AsyncStream<Void>.Continuation
    private let watcherID = "\(getpid())-\(UUID().text)"

    private let tick: Duration

    /// - Parameters:
    ///   - settings: Of a direct connection to the database.
    ///   - tick: How often streams get a comment, and rights are looked at again.
    package init(
        database: APIDatabase, settings: ConnectionSettings, logger: Logger, tick: Duration = .seconds(10)
    ) {
        self.tick = tick
        self.database = database
        self.settings = settings
        self.logger = logger
        (wakeups, wakeup) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Streams open now.
    package var streamCount: Int { state.withLock { $0.streams.count } }

    /// Whether changes are being heard of.
    package var isListening: Bool { state.withLock { $0.isListening } }

    /// When jobs last changed, as far as this process has heard; `nil` while it listens to nothing.
    package var lastChange: ContinuousClock.Instant? {
        state.withLock { $0.isListening ? $0.heardAt : nil }
    }

    // MARK: Streams

    /// Opens a stream; it is closed when the value goes.
    /// - Returns: `nil` where there are too many.
    func open(_ subject: EventStream.Subject, for viewer: EventStream.Viewer) -> EventStream? {
        let (texts, continuation) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingOldest(Self.backlogMax))
        let id: Int? = state.withLock { state in
            guard !state.isClosed, state.streams.count < Self.streamsMax else { return nil }
            state.nextID += 1
            state.streams[state.nextID] = EventStream.Entry(
                subject: subject, viewer: viewer, continuation: continuation)
            return state.nextID
        }
        guard let id else { return nil }
        wakeup.yield()
        return EventStream(texts: texts) { [weak self] in self?.close(id) }
    }

    private func close(_ id: Int) {
        let entry = state.withLock { $0.streams.removeValue(forKey: id) }
        entry?.continuation.finish()
    }

    private func closeAll() {
        let entries = state.withLock { state in
            state.isClosed = true
            defer { state.streams = [:] }
            return Array(state.streams.values)
        }
        for entry in entries { entry.continuation.finish() }
    }

    /// Tells every stream for which `text` gives one. A stream too far behind is ended, so that it delays nobody.
    private func tell(_ text: (EventStream.Entry) -> String?) {
        let late = state.withLock { state -> [EventStream.Entry] in
            var late: [EventStream.Entry] = []
            for (id, entry) in state.streams {
                guard let text = text(entry) else { continue }
                if case .enqueued = entry.continuation.yield(text) { continue }
                if let entry = state.streams.removeValue(forKey: id) { late.append(entry) }
            }
            return late
        }
        for entry in late { entry.continuation.finish() }
    }

    // MARK: Work

    /// Listens while there are streams, until a graceful shutdown or cancellation; then all streams end.
    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                await waitForStreams()
                if !Task.isCancelled { await serve() }
            }
        }
        closeAll()
    }

    private func waitForStreams() async {
        guard streamCount == 0 else { return }
        for await _ in wakeups where streamCount > 0 { return }
    }

    /// Until no stream has been open for a while.
    private func serve() async {
        let (bell, ring) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        state.withLock { $0.bell = ring }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [self] in
                await Listener(settings, channels: [Self.channel]).run { event in await self.heard(event) }
            }
            group.addTask { [self] in
                for await _ in bell {
                    try? await Task.sleep(for: Self.gathering)
                    await lookUp()
                }
            }
            var isQuiet = false
            while !Task.isCancelled {
                await keepUp()
                try? await Task.sleep(for: tick)
                if isQuiet, streamCount == 0 { break }
                isQuiet = streamCount == 0
            }
            group.cancelAll()
        }
        state.withLock { $0.isListening = false }
        // In a task of its own: this one may be cancelled.
        await Task { [self] in
            await attempt {
                _ = try await database.asWorker.query(
                    "/* jobworker:events.leave */ DELETE FROM jobworker.watchers WHERE id = \(watcherID)")
            }
        }.value
    }

    private func heard(_ event: Listener.Event) async {
        switch event {
        case .listening:
            await watch()
            state.withLock { ($0.isListening, $0.heardAt) = (true, .now) }
            // What happened meanwhile was missed.
            tell { _ in ServerSentEvent(name: "reset", data: "{}").text }
        case .notification(let notification):
            guard let id = UUID(uuidString: notification.payload) else { return }
            state.withLock { state in
                state.heardAt = .now
                state.note(id)
                state.bell?.yield()
            }
        case .lost:
            state.withLock { $0.isListening = false }
        }
    }

    /// Says that this process watches.
    private func watch() async {
        await attempt { [self] in
            _ = try await database.asWorker.query(
                """
                /* jobworker:events.watch */
                WITH gone AS (DELETE FROM jobworker.watchers WHERE until < clock_timestamp() AND id <> \(watcherID))
                INSERT INTO jobworker.watchers (id, until) VALUES (\(watcherID), clock_timestamp() + interval '1 minute')
                ON CONFLICT (id) DO UPDATE SET until = excluded.until
                """)
        }
    }

    /// What is due now and then, whatever happens to jobs.
    private func keepUp() async {
        if isListening { await watch() }
        await reviewRights()
        // A notification may be lost; the jobs that somebody looks at are few.
        state.withLock { state in
            for entry in state.streams.values { if case .job(let id) = entry.subject { state.note(id) } }
            state.bell?.yield()
        }
        tell { _ in ServerSentEvent.keepAlive }
    }

    private func lookUp() async {
        let (hints, hasOverflown) = state.withLock { state in
            defer { (state.hints, state.hinted, state.hasOverflown) = ([], [], false) }
            return (state.hints, state.hasOverflown)
        }
        if hasOverflown { tell { _ in ServerSentEvent(name: "reset", data: "{}").text } }
        guard !hints.isEmpty else { return }
        await attempt { [self] in
            let changes = try await changes(of: hints)
            for id in hints { deliver(id, changes[id]) }
        }
    }

    private struct Change: Sendable {
        let workspaceID: UUID?
        let text: String
    }

    private func changes(of ids: [UUID]) async throws -> [UUID: Change] {
        let rows = try await database.asWorker.query(
            """
            /* jobworker:events.look_up */
            SELECT jobs.id, jobs.workspace_id, row_to_json(shown)::text AS row
            FROM public.jobs CROSS JOIN LATERAL (SELECT \(sql: EventStream.columns)) AS shown
            WHERE jobs.id = ANY (\(ids))
            """)
        var changes: [UUID: Change] = [:]
        for row in rows {
            changes[try row.decode("id")] = Change(
                workspaceID: try row.decodeIfPresent("workspace_id"), text: try row.decode("row"))
        }
        return changes
    }

    private func deliver(_ id: UUID, _ change: Change?) {
        let event =
            change.map { ServerSentEvent(name: "job", data: $0.text).text }
            ?? ServerSentEvent(name: "deleted", data: "{\"id\":\"\(id.text)\"}").text
        tell { entry in
            guard entry.covers(id, workspaceID: change?.workspaceID, isGone: change == nil) else { return nil }
            return entry.memory.isNews(event, about: id) ? event : nil
        }
    }

    /// Ends the streams of members whose token is over, and learns in which workspaces the others are members still.
    private func reviewRights() async {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let seconds = Double(now.tv_sec)
        let members = state.withLock { state -> [Int: Member] in
            state.streams.compactMapValues { entry in
                if case .member(let member, _) = entry.viewer { member } else { nil }
            }
        }
        for (id, member) in members where member.expiresAt + TokenVerifier.leewaySeconds < seconds { close(id) }
        for member in Set(members.values) {
            await attempt { [self] in
                let mine = try await database.workspaces(of: member)
                state.withLock { state in
                    for (id, other) in members where other == member {
                        state.streams[id]?.viewer = .member(member, workspaces: mine)
                    }
                }
            }
        }
    }

    /// What fails is tried again at the next turn.
    private func attempt(_ work: () async throws -> Void) async {
        do { try await work() } catch {
            logger.debug("live events wait for the database", metadata: ["ERROR": "\(error)"])
        }
    }
}

extension APIDatabase {
    /// The workspaces that a member may look into now.
    package func workspaces(of member: Member) async throws -> Set<UUID> {
        let rows = try await reading(as: .member(member)).query(
            "/* jobworker:events.rights */ SELECT mine.id FROM jobworker.my_workspaces() AS mine (id)")
        var workspaces: Set<UUID> = []
        for row in rows { workspaces.insert(try row.decode("id")) }
        return workspaces
    }
}
