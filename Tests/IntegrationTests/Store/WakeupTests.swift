import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Who inserts wakes workers that wait, and no more than there are jobs.
@Suite(.database()) struct WakeupTests {
    let database = TestDatabase.current
    private var store: JobStore { database.store() }

    private func newJob(
        _ type: String = "noop", queue: String = "default", scheduledFor: Timestamp? = nil
    ) -> NewJob {
        var job = NewJob(workspaceID: TestDatabase.workspace, type: type, payload: JSONText("{}"))
        (job.queue, job.scheduledFor) = (queue, scheduledFor)
        return job
    }

    @Test func `an insert wakes once a statement and queue, a later job nobody`() async throws {
        let worker = try await WaitingWorker(in: database)
        _ = try await store.enqueue([newJob(scheduledFor: Timestamp(text: "2099-01-01T00:00:00Z"))])
        _ = try await store.enqueue([newJob(), newJob(), newJob(queue: "mail")])
        #expect(try await worker.heard().sorted() == ["default", "mail"])
    }

    @Test func `the announcement tells priority and due time`() async throws {
        let worker = try await WaitingWorker(in: database)
        var job = newJob(scheduledFor: Timestamp(text: "2020-01-02T03:04:05Z"))
        job.priority = try #require(Priority(7))
        _ = try await store.enqueue([job])
        let payload = try #require(try await worker.connection.notifications(timeout: .seconds(30)).first?.payload)
        guard case .job(job.id, "default", 7, let due) = DueAnnouncement(payload: payload) else {
            Issue.record("\(payload)")
            return
        }
        // Due since it is there, as it was scheduled for earlier.
        #expect(due > Timestamp(text: "2020-01-02T03:04:05Z") ?? due)
    }

    @Test func `of several jobs none is named`() async throws {
        let worker = try await WaitingWorker(in: database)
        _ = try await store.enqueue([newJob(), newJob()])
        let payload = try #require(try await worker.connection.notifications(timeout: .seconds(30)).first?.payload)
        guard case .lane("default", 0, _) = DueAnnouncement(payload: payload) else {
            Issue.record("\(payload)")
            return
        }
    }

    @Test func `one job wakes one of many workers, several jobs as many`() async throws {
        var workers: [WaitingWorker] = []
        for number in 0..<5 { workers.append(try await WaitingWorker(in: database, id: "w\(number)")) }
        _ = try await store.enqueue([newJob()])
        _ = try await store.enqueue([newJob(), newJob(), newJob()])
        var heard = 0
        for worker in workers { heard += try await worker.heard().count }
        #expect(heard == 4)
    }

    @Test func `more jobs than workers wake each once`() async throws {
        let workers = [
            try await WaitingWorker(in: database, id: "a"), try await WaitingWorker(in: database, id: "b"),
        ]
        _ = try await store.enqueue((0..<10).map { _ in newJob() })
        for worker in workers { #expect(try await worker.heard() == ["default"]) }
    }

    /// Whether an insert looks for workers that wait.
    private var looksForWorkers: Bool {
        get async throws {
            try await database.value("SELECT pg_sequence_last_value('jobworker.workers_waiting') IS NOT NULL") ?? false
        }
    }

    @Test func `an insert looks for workers as long as one waits, and only then`() async throws {
        #expect(try await !looksForWorkers)
        let a = try await WaitingWorker(in: database, id: "a")
        let b = try await WaitingWorker(in: database, id: "b")
        #expect(try await looksForWorkers)
        try await store.turnAway(workerID: "a")
        #expect(try await looksForWorkers)
        _ = try await store.enqueue([newJob()])
        #expect(try await b.heard() == ["default"])
        try await store.turnAway(workerID: "b")
        #expect(try await !looksForWorkers)
        _ = try await store.enqueue([newJob()])
        #expect(try await a.heard() == [])
        let c = try await WaitingWorker(in: database, id: "c")
        _ = try await store.enqueue([newJob()])
        #expect(try await c.heard() == ["default"])
    }

    @Test func `a member's insert wakes a worker, too`() async throws {
        let worker = try await WaitingWorker(in: database)
        let member = try await database.insertMember()
        _ = try await database.asUser(member) { session in
            try session.execute(
                """
                INSERT INTO public.jobs (workspace_id, job_type, payload)
                VALUES (\(TestDatabase.workspace), 'noop', '{}')
                """)
        }
        #expect(try await worker.heard() == ["default"])
    }

    @Test func `only workers that serve the queue are woken`() async throws {
        let other = try await WaitingWorker(in: database, id: "other", queues: ["mail"])
        let all = try await WaitingWorker(in: database, id: "all", queues: ["mail", "*"])
        _ = try await store.enqueue([newJob()])
        #expect(try await other.heard() == [])
        #expect(try await all.heard() == ["default"])
    }

    @Test func `only workers that serve the type are woken`() async throws {
        let other = try await WaitingWorker(in: database, id: "other", jobTypes: ["report"])
        let noop = try await WaitingWorker(in: database, id: "noop", jobTypes: ["apollo", "noop"])
        let none = try await WaitingWorker(in: database, id: "none", jobTypes: [])
        // Alone, with another, and as one that waits again.
        _ = try await store.enqueue([newJob()])
        _ = try await store.enqueue([newJob(queue: "mail"), newJob(queue: "mail")])
        let retried = try await database.insertJob(status: .deadLetter, queue: "again")
        try await database.run(
            "UPDATE public.jobs SET status = 'pending', next_retry_at = now() WHERE id = '\(retried.text)'")
        #expect(try await noop.heard() == ["default", "mail", "again"])
        #expect(try await other.heard() == [])
        #expect(try await none.heard() == [])
    }

    @Test func `jobs of several types wake workers of each`() async throws {
        let noop = try await WaitingWorker(in: database, id: "noop", jobTypes: ["noop"])
        let report = try await WaitingWorker(in: database, id: "report", jobTypes: ["report"])
        _ = try await store.enqueue([newJob(), newJob("report")])
        #expect(try await noop.heard() == ["default"])
        #expect(try await report.heard() == ["default"])
    }

    @Test func `a job that becomes due later is told to workers that serve its type`() async throws {
        let noop = try await WaitingWorker(in: database, id: "noop", jobTypes: ["noop"], interval: .seconds(3600))
        let report = try await WaitingWorker(in: database, id: "report", jobTypes: ["report"], interval: .seconds(3600))
        _ = try await store.enqueue([newJob(scheduledFor: try await database.value("SELECT now() + interval '600 s'"))])
        #expect(try await noop.heard() == ["default later"])
        #expect(try await report.heard() == [])
    }

    @Test func `what a worker can't take is passed on to others that serve its type, and not to it`() async throws {
        for (type, queue) in [("noop", "mail"), ("noop", "default"), ("report", "default")] {
            try await database.insertJob(type, queue: queue)
        }
        let full = try await WaitingWorker(in: database, id: "full")
        let noop = try await WaitingWorker(in: database, id: "noop", jobTypes: ["noop"])
        let report = try await WaitingWorker(in: database, id: "report", jobTypes: ["report"])
        try await store.turnAway(workerID: "full")
        let pool = ConnectionPool(database.workerSettings, limit: 1)
        let due = Timestamp(microseconds: 1_700_000_000_000_000)
        try await JobStore(pool: pool).passOn([
            .job(UUID(), queue: "mail", priority: 0, due: due), .lane(queue: "default", priority: 0, due: due),
            .unknown,
            .lane(queue: "default", priority: 0, due: nil),
            // Somebody has it already.
            .lane(queue: "default", priority: 1, due: due),
        ])
        await pool.close()
        #expect(try await noop.heard().sorted() == ["default", "mail"])
        #expect(try await report.heard() == ["default"])
        #expect(try await full.heard() == [])
    }

    @Test func `as many jobs of as many types wake every worker that serves all`() async throws {
        var workers: [WaitingWorker] = []
        for number in 0..<6 { workers.append(try await WaitingWorker(in: database, id: "w\(number)")) }
        _ = try await store.enqueue((0..<6).map { newJob("type-\($0)") })
        for worker in workers { #expect(try await worker.heard() == ["default"]) }
    }

    @Test func `who turned wake-ups away, or has given no sign for long, is left alone`() async throws {
        let busy = try await WaitingWorker(in: database, id: "busy")
        let dead = try await WaitingWorker(in: database, id: "dead", lasting: .zero)
        try await store.turnAway(workerID: "busy")
        _ = try await store.enqueue([newJob()])
        #expect(try await busy.heard() == [])
        #expect(try await dead.heard() == [])
    }

    @Test func `a queue that goes on wakes all its workers`() async throws {
        try await database.run("INSERT INTO public.job_queues (name, paused_at) VALUES ('default', now())")
        let workers = [
            try await WaitingWorker(in: database, id: "a"), try await WaitingWorker(in: database, id: "b"),
        ]
        try await database.run("UPDATE public.job_queues SET paused_at = NULL WHERE name = 'default'")
        for worker in workers { #expect(try await worker.heard() == ["- - *"]) }
    }

    @Test func `a worker that leaves waits no more`() async throws {
        let worker = try await WaitingWorker(in: database)
        try await store.leave(workerID: "waiting")
        _ = try await store.enqueue([newJob()])
        #expect(try await worker.heard() == [])
    }
}
