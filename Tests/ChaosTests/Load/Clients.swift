import FoundationEssentials
import JobWorker
import Postgres
import Synchronization

/// Those who add jobs, and cancel and retry them by hand, all along.
final class Clients: Sendable {
    struct Counts: Sendable {
        var added = 0, duplicates = 0, cancelled = 0, retried = 0, refused = 0, unanswered = 0, workflows = 0
    }

    private struct State {
        /// The database said that they are in.
        var acknowledged: [UUID] = []
        /// Their transaction was given up.
        var rolledBack: [UUID] = []
        var counts = Counts()
    }

    private let pool: ConnectionPool
    private let store: JobStore
    private let state = Mutex(State())
    private static let requester = Requester(actor: "operator:chaos", via: .cli)

    init(pool: ConnectionPool) {
        self.pool = pool
        store = JobStore(pool: pool, lifecycleLevel: .debug)
    }

    var counts: Counts { state.withLock { $0.counts } }
    var acknowledged: [UUID] { state.withLock { $0.acknowledged } }
    var rolledBack: [UUID] { state.withLock { $0.rolledBack } }

    /// One client; ends when its task is cancelled.
    /// - Parameter pause: Mean time between two of its actions.
    func run(random: SeededGenerator, pause: Duration) async {
        var random = random
        while !Task.isCancelled {
            try? await Task.sleep(for: random.pause(mean: pause))
            let roll = Int.random(in: 0..<100, using: &random)
            let victim = Int.random(in: 0..<10_000, using: &random)
            var jobs: [NewJob] = []
            for _ in 0..<(roll < 8 ? 10 : 2) {
                if let job = try? JobMix.draw(&random) { jobs.append(job) }
            }
            switch roll {
            case 0..<82: await add(jobs)
            case 82..<91:
                await change("'pending', 'processing'", victim) {
                    try await self.store.cancel($0, by: Clients.requester)
                }
            default:
                await change("'pending', 'failed', 'cancelled'", victim) {
                    try await self.store.retry($0, by: Clients.requester)
                }
            }
        }
    }

    /// Adds jobs, and repeats that until somebody answers, as a careful client does.
    func add(_ jobs: [NewJob]) async {
        while !Task.isCancelled {
            do throws(PostgresError) {
                let answers = try await store.enqueue(jobs)
                state.withLock { state in
                    state.acknowledged += answers.map(\.id)
                    state.counts.duplicates += answers.count(where: \.isDuplicate)
                    state.counts.added += answers.count { !$0.isDuplicate }
                }
                return
            } catch {
                state.withLock { $0.counts.unanswered += 1 }
                guard error.isTransient else { return }
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    /// Adds a workflow. Not repeated where nobody answers: it would be another one.
    func addWorkflow(_ jobs: [LinkedJob]) async {
        do {
            _ = try await store.addWorkflow(
                LinkedJob.list(jobs), named: "diamond", in: JobMix.workspace, by: Clients.requester)
            state.withLock { $0.counts.workflows += 1 }
        } catch {
            state.withLock { $0.counts.unanswered += 1 }
        }
    }

    /// Changes one job of these states, most often one of the latest.
    private func change(_ states: String, _ number: Int, _ body: (UUID) async throws -> JobSummary) async {
        let rows = try? await pool.query(
            """
            SELECT id FROM public.jobs WHERE status IN (\(sql: states)) ORDER BY created_at DESC, id
            LIMIT 1 OFFSET \(number % 20)
            """)
        guard let id = try? rows?.first?.decode("id", as: UUID.self) else { return }
        do {
            let job = try await body(id)
            state.withLock { state in
                if job.status == JobStatus.cancelled.rawValue {
                    state.counts.cancelled += 1
                } else {
                    state.counts.retried += 1
                }
            }
        } catch is JobChangeRefusal {
            state.withLock { $0.counts.refused += 1 }
        } catch {
            state.withLock { $0.counts.unanswered += 1 }
        }
    }

    /// Adds jobs in a transaction and thinks better of it.
    func addAndRollBack(random: inout SeededGenerator) async throws {
        struct SecondThought: Error {}
        let jobs = [try JobMix.draw(&random), try JobMix.draw(&random)]
        state.withLock { $0.rolledBack += jobs.map(\.id) }
        do {
            try await pool.transaction { connection in
                for job in jobs {
                    try connection.execute(
                        """
                        INSERT INTO public.jobs (id, workspace_id, job_type, payload)
                        VALUES (\(job.id), \(job.workspaceID), \(job.type), \(job.payload))
                        """)
                }
                try connection.execute("SELECT pg_sleep(0.3)")
                throw SecondThought()
            }
        } catch is SecondThought {}
    }
}
