import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres

/// What the other side of a running attempt tells of it, with the token that came with its request.
struct AttemptRoutes: Sendable {
    private let database: APIDatabase
    private let tokens: AttemptTokens?

    /// - Parameter tokens: `nil` where no key is known: then nobody is let in.
    init(database: APIDatabase, tokens: AttemptTokens?) {
        self.database = database
        self.tokens = tokens
    }

    var routes: [Route] {
        let details = """
            With the `attempt_token` that the request to the handler carried, as a bearer token. It is valid for that \
            attempt alone, and ends with it: then the answer is 409, and the work should be given up.
            """
        let answer = Answer(
            "It is stored.",
            Schema(.object([.init("status", Schema(.choice(["processing"])), isRequired: true)], isOpen: true)))
        return [
            Route(
                .post, "/api/jobs/{id}/progress", access: .attempt, "Tells how far a running attempt has come.",
                details: details,
                body: Schema(
                    .object(
                        [
                            .init("percentage", Schema(.whole(0...100)), isRequired: true),
                            .init("message", Schema(.text(0...2000, isOneLine: false))),
                            .init(
                                "details",
                                Schema(
                                    .map(Schema(.whole(-9_007_199_254_740_991...9_007_199_254_740_991))),
                                    note: "Whole numbers shown beside it, such as total and processed.")),
                        ], isOpen: false)),
                answers: [answer], refusals: [.conflict], handler: progress),
            Route(
                .post, "/api/jobs/{id}/log", access: .attempt, "Adds a row to the log of a running attempt.",
                details: details + " An attempt has at most \(Self.rowsMax) rows; then the answer is 429.",
                body: Schema(
                    .object(
                        [
                            .init(
                                "level", Schema(.choice(JobLogLevel.allCases.map(\.rawValue)), note: "info by default.")
                            ),
                            .init("message", Schema(.text(1...8000, isOneLine: false)), isRequired: true),
                            .init("metadata", Schema(.map(Schema(.anything)))),
                        ], isOpen: false)),
                answers: [answer], refusals: [.conflict, .tooManyRequests], handler: log),
        ]
    }

    private static let rowsMax = 1000

    private func progress(_ request: APIRequest) async throws -> Response {
        let claim = try claim(of: request)
        let body = request.document
        var details: [String: Int] = [:]
        if case .object(let members)? = body?["details"] {
            for member in members { details[member.name] = member.value.whole }
        }
        let progress = JobProgress(
            percentage: body?["percentage"]?.whole ?? 0, message: body?["message"]?.string ?? "", details: details)
        let text = try JSONText(encoding: progress.json)
        return try await answer(
            database.translated { try await JobStore(pool: database.asWorker).setProgress(claim, text) })
    }

    private func log(_ request: APIRequest) async throws -> Response {
        let claim = try claim(of: request)
        let body = request.document
        let level = (body?["level"]?.string).flatMap { JobLogLevel(text: $0) } ?? .info
        let told = try await database.translated {
            try await JobStore(pool: database.asWorker).addLog(
                claim, level: level, message: body?["message"]?.string ?? "",
                metadata: body?["metadata"].map { JSONText($0.text) }, rowsMax: Self.rowsMax)
        }
        guard !told.isFull || told.state != .held else {
            throw APIError(
                .tooManyRequests, code: "too_many_rows", "This attempt has \(Self.rowsMax) log rows already; say less.")
        }
        return try answer(told.state)
    }

    private func answer(_ state: ClaimState) throws -> Response {
        switch state {
        case .held: return Reply(#"{"status":"processing"}"#).response
        case .cancelled:
            throw APIError(.conflict, code: "attempt_over", "The job was cancelled; give the work up.")
        case .lost: throw APIError(.conflict, code: "attempt_over", "This attempt is over; give the work up.")
        }
    }

    /// - Throws: The same answer whatever is wrong with the token.
    private func claim(of request: APIRequest) throws -> Claim {
        let refusal = APIError(
            .unauthorized, code: "unauthorized", "Unauthorized",
            headers: [.wwwAuthenticate: #"Bearer realm="jobworker""#])
        let values = request.headers[values: .authorization]
        guard let tokens, values.count == 1, let blank = values[0].firstIndex(of: " "),
            values[0][..<blank].lowercased() == "bearer",
            let attempt = tokens.attempt(
                String(values[0][blank...].drop { $0 == " " }), now: Int(Date().timeIntervalSince1970)),
            attempt.jobID == (try request.id())
        else { throw refusal }
        return Claim(jobID: attempt.jobID, token: attempt.lease)
    }
}
