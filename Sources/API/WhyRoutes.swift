import ControlPlane
import Explanation
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import Postgres
import Terminal

/// Why a job is where it is.
struct WhyRoutes: Sendable {
    private let database: APIDatabase
    private let silence: Duration
    private let staleAfter: Duration
    private let usualTimeout: Duration

    /// - Parameters:
    ///   - silence: How long a worker may be silent and still count as alive.
    ///   - staleAfter: After such a silence its jobs are taken back.
    ///   - usualTimeout: Of jobs without a time limit of their own.
    init(database: APIDatabase, silence: Duration, staleAfter: Duration, usualTimeout: Duration) {
        self.database = database
        self.silence = silence
        self.staleAfter = staleAfter
        self.usualTimeout = usualTimeout
    }

    var routes: [Route] {
        [
            Route(
                .get, "/api/jobs/{id}/why", access: .members,
                "Tells why a job has not started, was retried or failed, and what happens next.",
                details: """
                    `state`, the codes of `reasons` and `next.what` stay as they are; the texts may change. A reason has \
                    further members, as its code asks for. Members are told neither who runs the site's workers and \
                    queues, nor anything of other workspaces: their `jobs_ahead` counts jobs of the workspace.
                    """,
                answers: [Answer("The explanation.", Self.explanation)], refusals: [.notFound], handler: why)
        ]
    }

    private static let explanation = Schema(
        .object(
            [
                .init("job_id", Schema(.uuid), isRequired: true),
                .init("job_type", JobDocument.word, isRequired: true),
                .init("job_queue", JobDocument.word, isRequired: true),
                .init("status", JobDocument.word.orNull, isRequired: true),
                .init(
                    "state", Schema(.choice(Explanation.State.allCases.map(\.rawValue))), isRequired: true),
                .init("summary", JobDocument.prose, isRequired: true),
                .init(
                    "reasons",
                    Schema(
                        .list(
                            Schema(
                                .object(
                                    [
                                        .init(
                                            "code", Schema(.choice(Explanation.Code.allCases.map(\.rawValue))),
                                            isRequired: true),
                                        .init("text", JobDocument.prose, isRequired: true),
                                    ], isOpen: true)), 1...100), note: "The decisive one first."), isRequired: true),
                .init(
                    "next",
                    Schema(
                        .object(
                            [
                                .init(
                                    "what", Schema(.choice(Explanation.Next.What.allCases.map(\.rawValue))),
                                    isRequired: true),
                                .init("text", JobDocument.prose, isRequired: true),
                                .init("at", Schema(.moment).orNull, isRequired: true),
                            ], isOpen: true)), isRequired: true),
                .init("as_of", Schema(.moment), isRequired: true),
            ], isOpen: true))

    private func why(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        let audience: JobFacts.Audience = if case .operator = request.caller { .operators } else { .members }
        let reader = FactReader(
            for: audience, silence: silence, staleAfter: staleAfter, usualTimeout: usualTimeout)
        return try await database.read(request) { connection in
            guard let facts = try reader.facts(of: id, connection) else { throw APIError.missing }
            return Reply(Explanation(facts).json.line).response
        }
    }
}
