import API
import ControlPlane
import FoundationEssentials
import JobWorker
import Postgres
import Tokens

/// What ran in the last hour, or day: by time, and by queue and type.
struct RunFigures: Sendable, Hashable {
    enum Range: String, Sendable, Hashable, CaseIterable {
        case hour, day

        /// Of a column of a chart, seconds.
        var span: Int { self == .hour ? 60 : 900 }
        var columns: Int { self == .hour ? 60 : 96 }
        var length: Duration { .seconds(span * columns) }
        var words: String { self == .hour ? "last hour" : "last day" }
    }

    /// What is looked at.
    struct Choice: Sendable, Hashable {
        var range = Range.hour
        var type: String?
        var queue: String?
    }

    typealias Kind = RunTally.Kind

    struct Sums: Sendable, Hashable {
        var completed = 0
        var failed = 0
        var retried = 0
        private(set) var waits = [Int](repeating: 0, count: RunTally.bounds.count + 1)
        private(set) var runs = [Int](repeating: 0, count: RunTally.bounds.count + 1)

        var ended: Int { completed + failed }
        var successRate: Double? { ended == 0 ? nil : Double(completed) / Double(ended) }

        func wait(_ share: Double) -> Double? { RunTally.percentile(share, of: waits) }
        func run(_ share: Double) -> Double? { RunTally.percentile(share, of: runs) }

        fileprivate mutating func add(place: Int, waits more: Int, runs: Int) {
            guard waits.indices.contains(place) else { return }
            waits[place] += more
            self.runs[place] += runs
        }

        fileprivate mutating func add(_ row: Row) throws {
            if let place: Int = try row.decodeIfPresent("place") {
                add(place: place, waits: try row.decode("waits"), runs: try row.decode("runs"))
            } else {
                completed += try row.decode("completed", as: Int.self)
                failed += try row.decode("failed", as: Int.self)
                retried += try row.decode("retried", as: Int.self)
            }
        }
    }

    let range: Range
    /// The oldest first.
    var columns: [Sums]
    var kinds: [Kind: Sums] = [:]
    var total = Sums()
    /// Whether only the newest jobs of a workspace were looked at.
    var isSample = false

    /// A second's, over the whole range.
    var throughput: Double { Double(total.ended) / Double(range.span * range.columns) }

    /// What workers stored of their runs, whoever's they were; of workspaces, their newest jobs. Relies on
    /// `run_figures_pkey` and `jobs_workspace_newest`.
    static func read(
        _ database: APIDatabase, as caller: Caller, _ scope: OverviewFigures.Scope, _ choice: Choice
    ) async throws -> RunFigures {
        let range = choice.range
        let source: Fragment
        let limit = OverviewFigures.sampleMax
        let most = Fragment(stringLiteral: String(limit))
        switch scope {
        case .all:
            source = """
                rows AS MATERIALIZED (
                    SELECT starts_at, queue, job_type, completed, failed, retried, waits, runs
                    FROM jobworker.run_figures
                    WHERE span = \(range.span) AND starts_at > clock_timestamp() - \(range.length)
                ), bins AS (
                    SELECT starts_at, queue, job_type, place::int - 1 AS place, wait, run
                    FROM rows CROSS JOIN LATERAL unnest(waits, runs) WITH ORDINALITY AS u (wait, run, place)
                    WHERE wait > 0 OR run > 0
                ), sample AS (SELECT 0 AS count)
                """
        case .workspaces(let ids):
            source = """
                newest AS MATERIALIZED (
                    SELECT jobs.* FROM unnest(\(ids)::uuid[]) AS mine (id) CROSS JOIN LATERAL (
                        SELECT coalesce(job_queue, 'default') AS queue, job_type, status, started_at,
                               coalesce(completed_at, failed_at) AS ended_at, greatest(created_at, scheduled_for) AS due_at
                        FROM public.jobs WHERE workspace_id = mine.id
                        ORDER BY created_at DESC, id DESC LIMIT \(most)) AS jobs
                ), ended AS (
                    SELECT date_bin(\(Duration.seconds(range.span)), ended_at, 'epoch') AS starts_at, queue, job_type,
                           status, width_bucket(extract(epoch FROM started_at - due_at)::float8, \(RunTally.bounds)) AS wait,
                           width_bucket(extract(epoch FROM ended_at - started_at)::float8, \(RunTally.bounds)) AS run
                    FROM newest
                    WHERE status IN ('completed', 'failed', 'dead_letter')
                      AND ended_at > clock_timestamp() - \(range.length)
                ), rows AS (
                    SELECT starts_at, queue, job_type, count(*) FILTER (WHERE status = 'completed') AS completed,
                           count(*) FILTER (WHERE status <> 'completed') AS failed, 0 AS retried
                    FROM ended GROUP BY 1, 2, 3
                ), bins AS (
                    SELECT starts_at, queue, job_type, wait AS place, 1 AS wait, 0 AS run FROM ended WHERE wait IS NOT NULL
                    UNION ALL
                    SELECT starts_at, queue, job_type, run, 0, 1 FROM ended WHERE run IS NOT NULL
                ), sample AS (SELECT count(*) FROM newest)
                """
        }
        // A text and NULL are compared where nothing is chosen.
        let chosen: Fragment =
            """
            (\(choice.type)::text IS NULL OR job_type = \(choice.type)) AND (\(choice.queue)::text IS NULL OR queue = \(choice.queue))
            """
        let rows = try await database.reading(as: caller).query(
            """
            /* jobworker:dashboard.runs */
            WITH \(source), facts AS (
                SELECT starts_at, NULL AS queue, NULL AS job_type, place, sum(wait)::bigint AS waits, sum(run)::bigint AS runs,
                       0::bigint AS completed, 0::bigint AS failed, 0::bigint AS retried
                FROM bins WHERE \(chosen) GROUP BY starts_at, place
                UNION ALL
                SELECT NULL, queue, job_type, place, sum(wait)::bigint, sum(run)::bigint, 0, 0, 0
                FROM bins GROUP BY queue, job_type, place
                UNION ALL
                SELECT starts_at, NULL, NULL, NULL, 0, 0, sum(completed)::bigint, sum(failed)::bigint, sum(retried)::bigint
                FROM rows WHERE \(chosen) GROUP BY starts_at
                UNION ALL
                SELECT NULL, queue, job_type, NULL, 0, 0, sum(completed)::bigint, sum(failed)::bigint, sum(retried)::bigint
                FROM rows GROUP BY queue, job_type
            )
            SELECT ((extract(epoch FROM date_bin(\(Duration.seconds(range.span)), clock_timestamp(), 'epoch'))
                     - extract(epoch FROM starts_at)) / \(range.span))::int AS ago,
                   queue, job_type, place, waits, runs, completed, failed, retried,
                   (SELECT count FROM sample)::bigint AS sample
            FROM facts
            """)
        var figures = RunFigures(range: range, columns: .init(repeating: Sums(), count: range.columns))
        for row in rows {
            figures.isSample = try row.decode("sample", as: Int.self) >= limit
            if let ago: Int = try row.decodeIfPresent("ago") {
                guard figures.columns.indices.contains(range.columns - 1 - ago) else { continue }
                try figures.columns[range.columns - 1 - ago].add(row)
                try figures.total.add(row)
            } else {
                let kind = Kind(queue: try row.decode("queue"), type: try row.decode("job_type"))
                try figures.kinds[kind, default: Sums()].add(row)
            }
        }
        return figures
    }
}
