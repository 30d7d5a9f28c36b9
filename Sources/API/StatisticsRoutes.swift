import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres

/// Figures about jobs, of a workspace or of all that the caller may see.
struct StatisticsRoutes: Sendable {
    private let database: APIDatabase

    init(database: APIDatabase) { self.database = database }

    var routes: [Route] {
        let workspace = Parameter("workspace_id", Schema(.uuid), "Figures of this workspace.")
        return [
            Route(
                .get, "/api/jobs/stats", access: .members, "Counts jobs, and tells how they did in the last hour.",
                parameters: [workspace], answers: [Answer("The figures.", Self.schema)],
                handler: { request in
                    Reply(try await figures(request).text).response
                }),
            Route(
                .get, "/api/jobs/dashboard", access: .members,
                "The figures, with the queues and the latest ends: what an overview shows.",
                parameters: [workspace],
                answers: [
                    Answer(
                        "The overview.",
                        Schema(
                            .object(
                                [
                                    .init("stats", Self.schema, isRequired: true),
                                    .init("queues", Schema(.list(Self.queue, 0...1000)), isRequired: true),
                                    .init("types", Schema(.list(Self.type, 0...100)), isRequired: true),
                                    .init("recent_failures", Schema(.list(.job, 0...5)), isRequired: true),
                                    .init("recent_completions", Schema(.list(.job, 0...5)), isRequired: true),
                                ], isOpen: true)))
                ], handler: overview),
        ]
    }

    private static let schema = Schema(
        .object(
            [
                .init("timestamp", Schema(.moment), isRequired: true),
                .init("statuses", Schema(.map(JobDocument.whole)), isRequired: true),
            ]
                + [
                    "queue_depth", "processing", "completed_last_hour", "failed_last_hour", "failed_last_day",
                    "slow_last_day",
                ].map { .init($0, JobDocument.whole, isRequired: true) }
                + [
                    "average_duration_ms", "p50_duration_ms", "p95_duration_ms", "p99_duration_ms", "success_rate",
                    "oldest_pending_seconds",
                ].map { .init($0, Schema(.number).orNull, isRequired: true) }
                + [.init("throughput_per_minute", Schema(.number), isRequired: true)], isOpen: true))

    private static let queue = Schema(
        .object(
            [
                .init("queue", JobDocument.word, isRequired: true), .init("depth", JobDocument.whole, isRequired: true),
                .init("processing", JobDocument.whole, isRequired: true),
            ], isOpen: true))

    private static let type = Schema(
        .object(
            [
                .init("job_type", JobDocument.word, isRequired: true),
                .init("count", JobDocument.whole, isRequired: true),
            ], isOpen: true))

    private func figures(_ request: APIRequest) async throws -> JSONNode {
        let workspaceID = try request.uuid("workspace_id")
        return try await database.translated {
            let pool = database.reading(as: request.caller)
            let statistics = try await JobStore(pool: pool).statistics(workspaceID: workspaceID)
            let rows = try await pool.query(
                """
                /* jobworker:api.stats.oldest */
                SELECT extract(epoch FROM clock_timestamp() - min(created_at))::float8 AS age
                FROM public.jobs WHERE status = 'pending' AND (\(workspaceID) IS NULL OR workspace_id = \(workspaceID))
                """)
            let oldest: Double? = try rows.first?.decodeIfPresent("age")
            return Self.document(statistics, oldest: oldest)
        }
    }

    private static func document(_ statistics: JobStatistics, oldest: Double?) -> JSONNode {
        func number(_ value: Double?) -> JSONNode {
            // With three decimals at most.
            value.map { .number(String(($0 * 1000).rounded() / 1000)) } ?? .null
        }
        func milliseconds(_ duration: Duration?) -> JSONNode { number(duration.map { $0 / .milliseconds(1) }) }
        func whole(_ value: Int) -> JSONNode { .number(String(value)) }
        return [
            "timestamp": .string(statistics.asOf.text(fractionDigits: 3)),
            "queue_depth": whole(statistics.queueDepth), "processing": whole(statistics.processing),
            "completed_last_hour": whole(statistics.completedLastHour),
            "failed_last_hour": whole(statistics.failedLastHour), "failed_last_day": whole(statistics.failedLastDay),
            "slow_last_day": whole(statistics.slowLastDay),
            "average_duration_ms": milliseconds(statistics.averageDuration),
            "p50_duration_ms": milliseconds(statistics.durationP50),
            "p95_duration_ms": milliseconds(statistics.durationP95),
            "p99_duration_ms": milliseconds(statistics.durationP99),
            "throughput_per_minute": number(statistics.throughputPerMinute),
            "success_rate": number(statistics.successRate), "oldest_pending_seconds": number(oldest),
            "statuses": .object(
                statistics.statuses.sorted { $0.key < $1.key }.map { .init($0.key, whole($0.value)) }),
        ]
    }

    private func overview(_ request: APIRequest) async throws -> Response {
        let stats = try await figures(request).text
        let workspaceID = try request.uuid("workspace_id")
        let here: Fragment = "(\(workspaceID) IS NULL OR workspace_id = \(workspaceID))"
        return try await database.read(request) { connection in
            let queues = try connection.execute(
                """
                /* jobworker:api.dashboard.queues */
                SELECT row_to_json(counted)::text AS row
                FROM (SELECT coalesce(job_queue, 'default') AS queue, count(*) FILTER (WHERE status = 'pending') AS depth,
                             count(*) FILTER (WHERE status = 'processing') AS processing
                      FROM public.jobs WHERE status IN ('pending', 'processing') AND \(here)
                      GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1000) AS counted
                """
            ).json().joined(separator: ",")
            let types = try connection.execute(
                """
                /* jobworker:api.dashboard.types */
                SELECT row_to_json(counted)::text AS row
                FROM (SELECT job_type, count(*) AS count FROM public.jobs WHERE \(here)
                      GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100) AS counted
                """
            ).json().joined(separator: ",")
            let failures = try Self.recent(
                "status IN ('failed', 'dead_letter') AND \(here)", by: "jobs.failed_at", connection)
            let completions = try Self.recent("status = 'completed' AND \(here)", by: "jobs.completed_at", connection)
            return Reply(
                #"{"stats":\#(stats),"queues":[\#(queues)],"types":[\#(types)],"recent_failures":[\#(failures)],"recent_completions":[\#(completions)]}"#
            ).response
        }
    }

    /// The latest jobs of a kind.
    private static func recent(
        _ condition: Fragment, by time: String, _ connection: isolated Connection
    ) throws -> String {
        try connection.execute(
            """
            /* jobworker:api.dashboard.recent */
            SELECT row_to_json(shown)::text AS row
            FROM (SELECT \(sql: JobDocument.columns(valueBytesMax: JobDocument.listedBytesMax))
                  FROM public.jobs WHERE \(condition) ORDER BY \(sql: time) DESC NULLS LAST LIMIT 5) AS shown
            """
        ).json().joined(separator: ",")
    }
}
