import Development
import FoundationEssentials
import JobWorker
import Postgres

/// Measures whether a claim takes as long in a table that is full of other rows as in one without.
///
/// Each condition is measured in turn with a table that holds nothing but the jobs to be claimed, by the statements of a
/// worker in its order: the timer's look, which sees everything, then claims where jobs are known to be, each from where
/// the last one ended. No worker runs.
package struct ClaimBench: Sendable {
    package struct Options: Sendable {
        /// Claims of each condition, and looks of each kind.
        package var claims = 200
        /// Jobs of each claim.
        package var batch = 10
        package var finished = 10_000_000
        package var future = 1_000_000
        package var otherQueues = 1_000_000
        package var unserved = 100_000
        package var churned = 100_000
        /// Over how many seconds the churn is spread, with autovacuum as shipped; 0 for at once, and none vacuumed.
        package var churnSeconds = 0
        /// The same of the churn that an old snapshot sees nothing of: so old is the snapshot then, at least.
        package var snapshotSeconds = 0
        package var retired = 500_000

        package init() {}
    }

    package struct Result: Sendable, Encodable {
        package let conditions: [Condition]
        package let batch: Int
        /// Who claims.
        package let role: String
    }

    package struct Condition: Sendable, Encodable {
        package let name: String
        package let rows: Int
        /// Over how many seconds they came; 0 for at once.
        package let seconds: Int
        /// Claims that take a whole batch.
        package let claim: Times
        /// Looks for an announced job that somebody else has taken.
        package let look: Times
        /// The timer's looks at everything, while nothing is due that can be taken.
        package let poll: Times
        /// How many of the rows retention took away meanwhile; all: it was done before the claims were.
        package let retired: Int?
    }

    package struct Times: Sendable, Encodable {
        package let milliseconds: Sample
        /// In the table without other rows, just before.
        package let emptyMilliseconds: Sample
        package let ratioP50: Double
        package let ratioP99: Double

        init(_ measured: Sample, empty: Sample) {
            milliseconds = measured
            emptyMilliseconds = empty
            ratioP50 = measured.p50 / empty.p50
            ratioP99 = measured.p99 / empty.p99
        }
    }

    private let database: BenchDatabase
    private let options: Options

    package init(database: BenchDatabase, options: Options) {
        self.database = database
        self.options = options
    }

    package func run() async throws -> Result {
        let connection = try await Connection.open(database.settings)
        var conditions: [Condition] = []
        for crowd in Crowd.all(options) where crowd.rows > 0 {
            let empty = try await measure(connection)
            try await connection.runScript("TRUNCATE public.jobs CASCADE")
            // A session whose snapshot is older than the rows, so that none of their versions may be removed.
            var reader: Connection?
            if crowd.isWatched {
                reader = try await Connection.open(database.settings)
                try await reader?.runScript("SET idle_in_transaction_session_timeout = 0")
                try await reader?.runScript("BEGIN ISOLATION LEVEL REPEATABLE READ")
                _ = try await reader?.query("SELECT count(*) FROM public.jobs")
            }
            try await fill(crowd, connection)
            var retired: Int?
            let crowded: Samples
            if crowd.isRetired {
                (crowded, retired) = try await whileRetiring { try await measure(connection) }
            } else {
                crowded = try await measure(connection)
            }
            await reader?.close()
            conditions.append(
                Condition(
                    name: crowd.name, rows: crowd.rows, seconds: crowd.seconds,
                    claim: Times(crowded.claim, empty: empty.claim),
                    look: Times(crowded.look, empty: empty.look), poll: Times(crowded.poll, empty: empty.poll),
                    retired: retired))
            try await connection.runScript(
                "TRUNCATE public.jobs CASCADE; ALTER TABLE public.jobs RESET (autovacuum_enabled)")
        }
        await connection.close()
        return Result(conditions: conditions, batch: options.batch, role: database.workerWords)
    }

    /// Meanwhile retention takes finished jobs away as a worker does, but without rests.
    /// - Returns: Also how many went.
    private func whileRetiring<Value>(_ body: () async throws -> Value) async throws -> (Value, retired: Int) {
        let pool = ConnectionPool(database.workerSettings, limit: 1)
        let store = JobStore(pool: pool)
        let isOver = Live(false)
        async let retired = {
            var (place, retired, batch) = (RetirementPlace(), 0, 200)
            while !isOver.value {
                let found = try await store.retire(["completed": 30], archives: false, from: place, batch: batch)
                retired += found.retired
                place = found.place
                if found.looked < batch { break }
            }
            return retired
        }()
        do {
            let value = try await body()
            isOver.value = true
            let count = try await retired
            await pool.close()
            return (value, count)
        } catch {
            isOver.value = true
            _ = try? await retired
            await pool.close()
            throw error
        }
    }

    private struct Samples {
        let claim: Sample
        let look: Sample
        let poll: Sample
    }

    private func measure(_ connection: Connection) async throws -> Samples {
        let pool = ConnectionPool(database.workerSettings, limit: 1)
        let store = JobStore(pool: pool)
        // Connecting, preparing and the first plans are not what is asked about. Another queue: what a crowd left in the
        // index is to be met by the first look that counts.
        var other = BenchClaimer(store: store, queue: "bench-warm-up", batch: options.batch)
        for _ in 0..<10 {
            _ = try await other.poll()
            try await other.hear(connection)
            _ = try await other.claim()
        }
        var claimer = BenchClaimer(store: store, queue: "default", batch: options.batch)
        let poll = try await time(expected: 0) { try await claimer.poll() }
        try await claimer.hear(connection)
        let look = try await time(expected: 0) { try await claimer.claim() }
        try await claimer.hear(connection)
        _ = try await connection.query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload)
            SELECT \(database.workspaceID), 'noop', '{}' FROM generate_series(1, \(options.claims * options.batch))
            """)
        let claim = try await time(expected: options.batch) { try await claimer.claim() }
        await pool.close()
        return Samples(claim: claim, look: look, poll: poll)
    }

    /// - Parameter take: Gives the number of jobs that it took.
    private func time(expected: Int, _ take: () async throws -> Int) async throws -> Sample {
        var times: [Double] = []
        for _ in 0..<options.claims {
            let began = ContinuousClock.now
            let count = try await take()
            times.append((ContinuousClock.now - began).milliseconds)
            guard count == expected else {
                throw DevelopmentError("a claim gave \(count) jobs, \(expected) were due")
            }
        }
        return Sample(times)
    }

    private func fill(_ crowd: Crowd, _ connection: Connection) async throws {
        // Those of foreign keys are a superuser's to disable; with them it takes longer.
        let isSuperuser: Bool? = try await connection.query(
            "SELECT rolsuper AS is_so FROM pg_roles WHERE rolname = current_user"
        ).first?.decode("is_so")
        let triggers = isSuperuser == true ? "ALL" : "USER"
        try await connection.runScript("ALTER TABLE public.jobs DISABLE TRIGGER \(triggers)")
        if crowd.isChurn { try await churn(crowd, connection) } else { try await settle(crowd, connection) }
        // Those of turns rest where nobody takes any.
        try await connection.runScript(
            "ALTER TABLE public.jobs ENABLE TRIGGER \(triggers); SELECT jobworker.arrange_turns()")
        try await database.checkpoint(connection)
    }

    /// Millions of rows in one statement, the indexes built afterwards, then vacuumed.
    private func settle(_ crowd: Crowd, _ connection: Connection) async throws {
        let indexes = try await connection.query(
            """
            SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
            FROM pg_index WHERE indrelid = 'public.jobs'::regclass AND NOT indisprimary
            """
        ).map {
            (name: try $0.decode("name", as: String.self), definition: try $0.decode("definition", as: String.self))
        }
        for index in indexes { try await connection.runScript("DROP INDEX \(index.name)") }
        try await connection.runScript(crowd.insert(1...crowd.rows, workspace: database.workspaceID.text))
        for index in indexes { try await connection.runScript(index.definition) }
        try await connection.runScript("VACUUM ANALYZE public.jobs")
    }

    /// Rows that are added, claimed and completed: a thousand in each transaction and never vacuumed, or as many in each
    /// second as it takes.
    private func churn(_ crowd: Crowd, _ connection: Connection) async throws {
        if crowd.seconds == 0 {
            try await connection.runScript("ALTER TABLE public.jobs SET (autovacuum_enabled = off)")
        }
        let size = crowd.seconds == 0 ? 1000 : max(1, crowd.rows / crowd.seconds)
        let began = ContinuousClock.now
        for first in stride(from: 1, through: crowd.rows, by: size) {
            let share = Double(first - 1) / Double(crowd.rows)
            try await Task.sleep(until: began + .seconds(Double(crowd.seconds) * share))
            let numbers = first...min(first + size - 1, crowd.rows)
            try await connection.runScript(crowd.insert(numbers, workspace: database.workspaceID.text))
            try await connection.runScript(
                """
                UPDATE public.jobs SET status = 'processing', attempts = 1, lease_token = 1, lease_open = true
                WHERE status = 'pending'
                """)
            try await connection.runScript(
                """
                UPDATE public.jobs SET status = 'completed', completed_at = now(), lease_open = false
                WHERE status = 'processing'
                """)
        }
        try await Task.sleep(until: began + .seconds(crowd.seconds))
    }
}

/// Looks at one queue as a worker does.
private struct BenchClaimer {
    let store: JobStore
    let queue: String
    let batch: Int
    private var lanes = DueLanes()

    init(store: JobStore, queue: String, batch: Int) {
        (self.store, self.queue, self.batch) = (store, queue, batch)
    }

    /// The timer's look, at everything.
    /// - Returns: How many jobs it took.
    mutating func poll() async throws -> Int {
        let (request, askedAt) = (request(lanes: nil), ContinuousClock.now)
        let answer = try await store.poll(
            request,
            presence: WorkerPresence(
                id: request.workerID, instance: "bench", host: "bench", machineID: "bench", pid: 1, version: "bench",
                queues: [queue], jobTypes: request.jobTypes, maxConcurrent: batch),
            reaping: ReapRequest(staleAfter: request.staleAfter, jobTypes: request.jobTypes, retry: RetryPolicy()))
        lanes.discovered(answer.lanes, at: answer.now, askedAt: askedAt, now: .now)
        lanes.looked(for: request, claimed: answer.claimed, askedAt: askedAt)
        return answer.claimed.count
    }

    /// Where jobs may be, as far as that is known.
    /// - Returns: How many jobs it took.
    mutating func claim() async throws -> Int {
        let (request, askedAt) = (request(lanes: lanes.asked()), ContinuousClock.now)
        let claimed = try await store.claim(request)
        lanes.looked(for: request, claimed: claimed, askedAt: askedAt)
        return claimed.count
    }

    /// A job of the queue has become due now, as an insert announces it.
    mutating func hear(_ connection: Connection) async throws {
        let now: Timestamp? = try await connection.query("SELECT clock_timestamp() AS now").first?.decode("now")
        lanes.hear(.lane(queue: queue, priority: 0, due: now))
    }

    private func request(lanes: [ClaimRequest.Lane]?) -> ClaimRequest {
        ClaimRequest(
            workerID: "bench", jobTypes: ["noop"], queues: [.init(name: queue, free: batch)], lanes: lanes,
            limit: batch, takesSuspect: true, staleAfter: .seconds(120))
    }
}

/// Rows that a claim must find its way through.
private struct Crowd {
    let name: String
    let rows: Int
    /// Columns besides those that all have, and their values.
    var columns = ""
    var values = ""
    var age = "2 days"
    /// Whether the rows are claimed and completed after that, none of them vacuumed.
    var isChurn = false
    /// Over how many seconds that goes on; 0 for at once.
    var seconds = 0
    /// Whether a session still sees the table as it was before.
    var isWatched = false
    /// Whether they are taken away meanwhile.
    var isRetired = false

    static func all(_ options: ClaimBench.Options) -> [Crowd] {
        [
            Crowd(
                name: "finished jobs", rows: options.finished,
                columns: ", job_type, status, attempts, lease_token, worker_id, started_at, completed_at",
                values: ", 'bench.crowd', 'completed', 1, number, 'bench', now() - interval '1 day', now()"),
            Crowd(
                name: "future jobs of any priority", rows: options.future,
                columns: ", job_type, scheduled_for, priority",
                values: ", 'noop', now() + interval '1 day' + number * interval '1 s', (random() * 20)::int - 10"),
            Crowd(
                name: "due jobs in ten other queues", rows: options.otherQueues,
                columns: ", job_type, job_queue", values: ", 'noop', 'bench-' || number % 10"),
            Crowd(
                name: "due jobs of a type nobody serves", rows: options.unserved,
                columns: ", job_type", values: ", 'bench.unserved'"),
            Crowd(
                name: "dead rows after churn", rows: options.churned,
                columns: ", job_type", values: ", 'noop'", isChurn: true, seconds: options.churnSeconds),
            Crowd(
                name: "dead rows under an old snapshot", rows: options.churned,
                columns: ", job_type", values: ", 'noop'", isChurn: true, seconds: options.snapshotSeconds,
                isWatched: true),
            Crowd(
                name: "old jobs that retention takes away meanwhile", rows: options.retired,
                columns: ", job_type, status, attempts, lease_token, worker_id, started_at, completed_at",
                values: ", 'bench.crowd', 'completed', 1, number, 'bench', now() - interval '40 days', "
                    + "now() - interval '40 days'",
                age: "41 days", isRetired: true),
        ]
    }

    func insert(_ numbers: ClosedRange<Int>, workspace: String) -> String {
        // Ids in order: the primary key grows at its end.
        """
        INSERT INTO public.jobs (id, workspace_id, payload, created_at\(columns))
        SELECT lpad(to_hex(number), 32, '0')::uuid, '\(workspace)', '{}', now() - interval '\(age)'\(values)
        FROM generate_series(\(numbers.lowerBound), \(numbers.upperBound)) AS number
        """
    }
}
