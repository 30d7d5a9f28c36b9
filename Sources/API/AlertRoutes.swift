import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres

/// What administrators are alerted to. For operators.
struct AlertRoutes: Sendable {
    private let database: APIDatabase

    private static let listedDefault = 50

    init(database: APIDatabase) { self.database = database }

    var routes: [Route] {
        [
            Route(
                .get, "/api/alerts", access: .operators, "Lists alerts, newest first.",
                details: """
                    One for each situation over all workers, raised and resolved by themselves. They are kept for 90 \
                    days.
                    """,
                parameters: [
                    Parameter("open", Schema(.boolean), "Only those that are open, or only those that are over."),
                    .limit, .jobCursor,
                ],
                answers: [
                    Answer(
                        "The alerts.",
                        Schema(
                            .object(
                                [
                                    .init("alerts", Schema(.list(Self.alert, 0...200)), isRequired: true),
                                    .init("next_cursor", .nextCursor, isRequired: true),
                                ], isOpen: true)))
                ], handler: list)
        ]
    }

    private static let alert = Schema(
        .object(
            [
                .init("id", Schema(.uuid), isRequired: true),
                .init("rule", Schema(.choice(AlertRule.allCases.map(\.rawValue))), isRequired: true),
                .init(
                    "subject", JobDocument.prose.noted("A job type, a queue, or a worker as instance@host."),
                    isRequired: true),
                .init("message", JobDocument.prose, isRequired: true),
                .init("value", JobDocument.whole.noted("Jobs, or seconds, when last found so."), isRequired: true),
                .init("threshold", JobDocument.whole, isRequired: true),
                .init("since", Schema(.moment), isRequired: true),
                .init("last_at", Schema(.moment, note: "When it was last found so."), isRequired: true),
                .init("ended_at", Schema(.moment, note: "null: it is open.").orNull, isRequired: true),
                .init("raised_by", JobDocument.prose.noted("The worker that found it."), isRequired: true),
                .init("resolved_by", JobDocument.prose.orNull, isRequired: true),
            ], isOpen: true))

    private func list(_ request: APIRequest) async throws -> Response {
        let limit = try request.number("limit", in: 1...200) ?? Self.listedDefault
        let isOpen = try request.text("open").map { $0 == "true" }
        let cursor = try request.text("cursor").flatMap { JobCursor(text: $0) }
        let place: Fragment =
            cursor.map { "(since, id) < (\($0.createdAt ?? .distantPast), \($0.id))" } ?? "true"
        return try await database.read(request) { connection in
            let rows = try connection.execute(
                """
                /* jobworker:api.alerts */
                SELECT row_to_json(shown)::text AS row, shown.id, shown.since
                FROM (SELECT id, rule, subject, message, value, threshold, since, last_at, ended_at, raised_by,
                             resolved_by
                      FROM public.job_alerts
                      WHERE (\(isOpen) IS NULL OR (ended_at IS NULL) = \(isOpen)) AND \(place)
                      ORDER BY since DESC, id DESC LIMIT \(limit + 1)) AS shown
                ORDER BY shown.since DESC, shown.id DESC
                """)
            var texts = try rows.json()
            var next = "null"
            if rows.count > limit {
                texts.removeLast()
                let last = rows[limit - 1]
                next = "\"\(JobCursor(createdAt: try last.decode("since"), id: try last.decode("id")).text)\""
            }
            return Reply(#"{"alerts":[\#(texts.joined(separator: ","))],"next_cursor":\#(next)}"#).response
        }
    }
}
