import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import NIOCore
import Postgres

/// Changes of jobs as they happen, as server-sent events.
struct EventRoutes: Sendable {
    private let database: APIDatabase
    private let hub: EventHub

    init(database: APIDatabase, hub: EventHub) {
        self.database = database
        self.hub = hub
    }

    var routes: [Route] {
        let answers = [
            Answer(
                "A stream that ends when the token does, or when the server stops.",
                Schema(.text(0 ... .max, isOneLine: false)), contentType: "text/event-stream")
        ]
        let details = """
            Events: `job` with the job as it is now, `deleted` with its id, and `reset` where changes may have been \
            missed, so that what is shown should be read again. A comment comes every few seconds. A client that reads \
            too slowly is disconnected, and there are at most \(EventHub.streamsMax) streams.
            """
        return [
            Route(
                .get, "/api/jobs/{id}/events", access: .members, "Follows one job.", details: details, answers: answers,
                refusals: [.notFound], handler: job),
            Route(
                .get, "/api/events", access: .members, "Follows the jobs of a workspace, or of all.", details: details,
                parameters: [Parameter("workspace_id", Schema(.uuid), "Jobs of this workspace.")], answers: answers,
                handler: all),
        ]
    }

    private func job(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        let stream = try await open(.job(id), request)
        let first = try await database.read(request) { connection in
            let rows = try connection.execute(
                """
                /* jobworker:api.events.job */
                SELECT row_to_json(shown)::text AS row
                FROM (SELECT \(sql: EventStream.columns) FROM public.jobs WHERE jobs.id = \(id)) AS shown
                """)
            guard let text = try rows.json().first else { throw APIError.missing }
            return ServerSentEvent(name: "job", data: text).text
        }
        return Self.response(first, stream)
    }

    private func all(_ request: APIRequest) async throws -> Response {
        let stream = try await open(.workspace(try request.uuid("workspace_id")), request)
        return Self.response(ServerSentEvent(name: "reset", data: "{}").text, stream)
    }

    private func open(_ subject: EventStream.Subject, _ request: APIRequest) async throws -> EventStream {
        let viewer: EventStream.Viewer
        switch request.caller {
        case .operator: viewer = .operator
        case .member(let member):
            viewer = .member(
                member, workspaces: try await database.translated { try await database.workspaces(of: member) })
        case .anonymous: throw APIError.missing
        }
        guard let stream = hub.open(subject, for: viewer) else {
            throw APIError(
                .serviceUnavailable, code: "too_many_streams", "Too many streams are open. Try again later.",
                headers: [.retryAfter: "10"])
        }
        return stream
    }

    private static func response(_ first: String, _ stream: EventStream) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store"],
            body: ResponseBody { writer in
                try await writer.write(ByteBuffer(string: first))
                for await text in stream.texts { try await writer.write(ByteBuffer(string: text)) }
                try await writer.finish(nil)
                withExtendedLifetime(stream) {}
            })
    }
}
