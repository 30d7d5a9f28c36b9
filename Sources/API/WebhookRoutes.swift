import ControlPlane
import Enrichment
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres
import Tokens
import Webhooks

/// Where events of jobs are sent, and alerts, and what became of them. For admins of the workspace and operators.
struct WebhookRoutes: Sendable {
    private let database: APIDatabase
    private let vault: KeyVault

    private static let listedDefault = 20

    init(database: APIDatabase, vault: KeyVault) {
        self.database = database
        self.vault = vault
    }

    var routes: [Route] {
        let gone = Answer(
            "It is gone.", Schema(.object([.init("success", Schema(.boolean), isRequired: true)], isOpen: true)))
        return [
            Route(
                .get, "/api/webhooks", access: .members, "Lists endpoints, newest first. For admins.",
                parameters: [Parameter("workspace_id", Schema(.uuid), "Of this workspace."), .limit, .jobCursor],
                answers: [
                    Answer(
                        "The endpoints.",
                        Schema(
                            .object(
                                [
                                    .init("webhooks", Schema(.list(Self.endpoint, 0...200)), isRequired: true),
                                    .init("next_cursor", .nextCursor, isRequired: true),
                                ], isOpen: true)))
                ], handler: list),
            Route(
                .post, "/api/webhooks", access: .members, "Adds an endpoint. For admins.",
                details: """
                    The answer holds its secret, `whsec_…`, which is shown once: messages are signed with it as the \
                    Standard Webhooks specification says. The URL must lead to a public address when something is sent. \
                    Without `workspace_id` it is an endpoint of operators, for them alone to add: it is told of alerts.
                    """,
                parameters: [.idempotencyKey], body: Self.draft,
                answers: [Answer("The endpoint, with its secret.", Self.newEndpoint, status: .created)],
                refusals: [.forbidden, .notFound], audit: ["webhook.add"], handler: add),
            Route(
                .get, "/api/webhooks/{id}", access: .members, "Shows an endpoint. For admins.",
                answers: [Answer("The endpoint.", Self.endpoint)], refusals: [.notFound], handler: show),
            Route(
                .patch, "/api/webhooks/{id}", access: .members, "Changes an endpoint. For admins.",
                details: "What isn't given stays. Enabling it again forgets its failures.", body: Self.changes,
                answers: [Answer("The endpoint.", Self.endpoint)], refusals: [.forbidden, .notFound],
                audit: ["webhook.change"], handler: change),
            Route(
                .delete, "/api/webhooks/{id}", access: .members,
                "Removes an endpoint and its deliveries. For admins.", parameters: [.reason], answers: [gone],
                refusals: [.forbidden, .notFound], audit: ["webhook.delete"], handler: remove),
            Route(
                .post, "/api/webhooks/{id}/test", access: .members,
                "Sends an endpoint an event of the type `test`. For admins.",
                details: "The answer is the delivery as it waits; ask for it again to see what came of it.",
                parameters: [.idempotencyKey], body: .reasonAlone, isBodyRequired: false,
                answers: [Answer("The delivery.", Self.delivery, status: .created)],
                refusals: [.forbidden, .notFound, .conflict], audit: ["webhook.test"], handler: test),
            Route(
                .get, "/api/webhooks/{id}/deliveries", access: .members,
                "Lists what was sent to an endpoint, newest first. For admins.",
                parameters: [
                    Parameter("status", Self.deliveryStatus, "In this state."),
                    Parameter("job_id", Schema(.uuid), "About this job."), .limit, .jobCursor,
                ],
                answers: [
                    Answer(
                        "The deliveries.",
                        Schema(
                            .object(
                                [
                                    .init("deliveries", Schema(.list(Self.delivery, 0...200)), isRequired: true),
                                    .init("next_cursor", .nextCursor, isRequired: true),
                                ], isOpen: true)))
                ], refusals: [.notFound], handler: deliveries),
            Route(
                .get, "/api/webhooks/{id}/deliveries/{delivery_id}", access: .members, "Shows a delivery. For admins.",
                answers: [Answer("The delivery.", Self.delivery)], refusals: [.notFound], handler: showDelivery),
            Route(
                .post, "/api/webhooks/{id}/deliveries/{delivery_id}/redeliver", access: .members,
                "Sends a delivery once more, under the same id. For admins.", parameters: [.idempotencyKey],
                body: .reasonAlone, isBodyRequired: false, answers: [Answer("The delivery.", Self.delivery)],
                refusals: [.forbidden, .notFound, .conflict], audit: ["webhook.redeliver"], handler: redeliver),
        ]
    }

    // MARK: Forms

    private static let event = Schema(.choice(WebhookEvent.allCases.map(\.rawValue)))
    private static let deliveryStatus = Schema(.choice(["pending", "delivered", "failed"]))
    private static let url = Schema(.text(1...2000, isOneLine: true), note: "https or http, without user and password.")
    private static let events = Schema(.list(event, 0...WebhookEvent.allCases.count), note: "null: all of them.").orNull
    private static let jobTypes = Schema(.list(.jobType, 0...100), note: "null: all of them.").orNull

    private static let draft = Schema(
        .object(
            [
                .init("workspace_id", Schema(.uuid, note: "null or absent: an operators' endpoint.").orNull),
                .init("url", url, isRequired: true),
                .init("events", events), .init("job_types", jobTypes), .reason,
            ], isOpen: false))

    private static let changes = Schema(
        .object(
            [
                .init("url", url), .init("events", events), .init("job_types", jobTypes),
                .init("enabled", Schema(.boolean)), .reason,
            ], isOpen: false))

    private static let endpoint = Schema(.object(endpointProperties, isOpen: true))
    private static let newEndpoint = Schema(
        .object(
            endpointProperties + [
                .init("secret", Schema(.text(1...200, isOneLine: true), note: "whsec_…, shown once."), isRequired: true)
            ], isOpen: true))

    private static let endpointProperties: [Schema.Property] = [
        .init("id", Schema(.uuid), isRequired: true),
        .init("workspace_id", Schema(.uuid, note: "null: an operators' endpoint.").orNull, isRequired: true),
        .init("url", JobDocument.prose, isRequired: true),
        .init("events", Schema(.list(JobDocument.word, 0...100)).orNull, isRequired: true),
        .init("job_types", Schema(.list(JobDocument.word, 0...100)).orNull, isRequired: true),
        .init("enabled", Schema(.boolean), isRequired: true),
        .init(
            "consecutive_failures", JobDocument.whole.noted("Tries that failed since the last one that didn't."),
            isRequired: true),
        .init(
            "disabled_reason", JobDocument.prose.orNull.noted("Why it was disabled, if nobody did it by hand."),
            isRequired: true),
        .init(
            "retry_at", Schema(.moment, note: "Nothing is sent before, as tries fail one after the other.").orNull,
            isRequired: true),
        .init("created_by", Schema(.uuid).orNull, isRequired: true),
        .init("created_at", Schema(.moment), isRequired: true),
        .init("updated_at", Schema(.moment), isRequired: true),
    ]

    private static let delivery = Schema(
        .object(
            [
                .init("id", Schema(.uuid, note: "The webhook-id of each try."), isRequired: true),
                .init("endpoint_id", Schema(.uuid), isRequired: true),
                .init("workspace_id", Schema(.uuid).orNull, isRequired: true),
                .init("job_id", Schema(.uuid).orNull, isRequired: true),
                .init("event", JobDocument.word, isRequired: true),
                .init("status", deliveryStatus, isRequired: true),
                .init("attempts", JobDocument.whole.noted("Tries begun."), isRequired: true),
                .init("next_attempt_at", Schema(.moment).orNull, isRequired: true),
                .init("response_status", JobDocument.whole.orNull, isRequired: true),
                .init("error", JobDocument.prose.orNull, isRequired: true),
                .init("created_at", Schema(.moment), isRequired: true),
                .init("delivered_at", Schema(.moment).orNull, isRequired: true),
                .init("payload", Schema(.anything, note: "What `data` of the message holds."), isRequired: true),
            ], isOpen: true))

    // MARK: Looking

    private static let endpointColumns = """
        id, workspace_id, url, events, job_types, enabled, consecutive_failures, disabled_reason, retry_at, created_by, \
        created_at, updated_at
        """
    private static let deliveryColumns = """
        id, endpoint_id, workspace_id, job_id, event, status, attempts, next_attempt_at, response_status, error, \
        created_at, delivered_at, payload
        """

    private static func page(
        _ name: String, _ rows: Rows, limit: Int
    ) throws -> Reply {
        var texts = try rows.json()
        var next = "null"
        if rows.count > limit {
            texts.removeLast()
            let last = rows[limit - 1]
            next = "\"\(JobCursor(createdAt: try last.decode("created_at"), id: try last.decode("id")).text)\""
        }
        return Reply(#"{"\#(name)":[\#(texts.joined(separator: ","))],"next_cursor":\#(next)}"#)
    }

    private static func place(_ request: APIRequest) throws(APIError) -> Fragment {
        guard let cursor = try request.text("cursor").flatMap({ JobCursor(text: $0) }) else { return "true" }
        return "(created_at, id) < (\(cursor.createdAt ?? .distantPast), \(cursor.id))"
    }

    private func list(_ request: APIRequest) async throws -> Response {
        let limit = try request.number("limit", in: 1...200) ?? Self.listedDefault
        let workspaceID = try request.uuid("workspace_id")
        let place = try Self.place(request)
        return try await database.read(request) { connection in
            let rows = try connection.execute(
                """
                /* jobworker:api.webhooks */
                SELECT row_to_json(shown)::text AS row, shown.id, shown.created_at
                FROM (SELECT \(sql: Self.endpointColumns) FROM public.webhook_endpoints
                      WHERE (\(workspaceID) IS NULL OR workspace_id = \(workspaceID)) AND \(place)
                      ORDER BY created_at DESC, id DESC LIMIT \(limit + 1)) AS shown
                ORDER BY shown.created_at DESC, shown.id DESC
                """)
            return try Self.page("webhooks", rows, limit: limit).response
        }
    }

    private static func endpoint(_ id: UUID, _ connection: isolated Connection) throws -> String {
        let rows = try connection.execute(
            """
            /* jobworker:api.webhooks.show */
            SELECT row_to_json(shown)::text AS row
            FROM (SELECT \(sql: endpointColumns) FROM public.webhook_endpoints WHERE id = \(id)) AS shown
            """)
        guard let text = try rows.json().first else { throw APIError.missing }
        return text
    }

    private static func delivery(_ id: UUID, of endpoint: UUID, _ connection: isolated Connection) throws -> String {
        let rows = try connection.execute(
            """
            /* jobworker:api.webhooks.delivery */
            SELECT row_to_json(shown)::text AS row
            FROM (SELECT \(sql: deliveryColumns) FROM public.webhook_deliveries
                  WHERE id = \(id) AND endpoint_id = \(endpoint)) AS shown
            """)
        guard let text = try rows.json().first else { throw APIError.missing }
        return text
    }

    private func show(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        return try await database.read(request) { connection in Reply(try Self.endpoint(id, connection)).response }
    }

    private func deliveries(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        let limit = try request.number("limit", in: 1...200) ?? Self.listedDefault
        let (status, job) = (try request.text("status"), try request.uuid("job_id"))
        let place = try Self.place(request)
        return try await database.read(request) { connection in
            _ = try Self.endpoint(id, connection)
            let rows = try connection.execute(
                """
                /* jobworker:api.webhooks.deliveries */
                SELECT row_to_json(shown)::text AS row, shown.id, shown.created_at
                FROM (SELECT \(sql: Self.deliveryColumns) FROM public.webhook_deliveries
                      WHERE endpoint_id = \(id) AND (\(status) IS NULL OR status = \(status))
                        AND (\(job) IS NULL OR job_id = \(job)) AND \(place)
                      ORDER BY created_at DESC, id DESC LIMIT \(limit + 1)) AS shown
                ORDER BY shown.created_at DESC, shown.id DESC
                """)
            return try Self.page("deliveries", rows, limit: limit).response
        }
    }

    private func showDelivery(_ request: APIRequest) async throws -> Response {
        let (id, delivery) = (try request.id(), try request.id("delivery_id"))
        return try await database.read(request) { connection in
            Reply(try Self.delivery(delivery, of: id, connection)).response
        }
    }

    // MARK: Changing

    /// - Parameter workspace: `nil` for what is the operators'.
    /// - Throws: `APIError`: 404 for somebody who may not know of the workspace, 403 for who is no admin of it.
    private static func requireAdmin(of workspace: UUID?, _ caller: Caller, _ connection: isolated Connection) throws {
        guard let workspace else {
            if case .member = caller { throw APIError.operatorsOnly }
            return
        }
        guard case .member = caller else {
            let rows = try connection.execute(
                """
                /* jobworker:api.webhooks.workspace */ SELECT FROM public.workspaces WHERE id = \(workspace)
                """)
            guard !rows.isEmpty else { throw APIError.missing }
            return
        }
        let rows = try connection.execute(
            """
            /* jobworker:api.webhooks.rights */
            SELECT jobworker.is_member(\(workspace)) AS knows, jobworker.is_admin(\(workspace)) AS rules
            """)
        guard let row = rows.first, try row.decode("knows") else { throw APIError.missing }
        if try !row.decode("rules", as: Bool.self) { throw APIError.adminsOnly }
    }

    /// The database's own words about a value that it doesn't take: they come from our functions.
    private static func translated<Value>(_ work: () throws -> Value) throws -> Value {
        do {
            return try work()
        } catch let error as PostgresError where error.sqlState == "22023" {
            throw APIError(.unprocessableContent, code: "invalid_webhook", error.message.asSentence)
        }
    }

    private static func texts(_ node: JSONNode?) -> [String]? {
        guard case .array(let nodes)? = node else { return nil }
        return nodes.compactMap(\.string)
    }

    private func add(_ request: APIRequest) async throws -> Response {
        guard let document = request.document, let url = document["url"]?.string else {
            throw APIError.invalidParameter("the body", "names no URL")
        }
        let workspace = document["workspace_id"]?.string.flatMap { UUID(uuidString: $0) }
        let (events, jobTypes) = (Self.texts(document["events"]), Self.texts(document["job_types"]))
        let sealed: String
        do throws(KeyVaultError) {
            sealed = try WebhookSecret.generate().sealed(by: vault, workspace: workspace)
        } catch {
            throw APIError(
                .serviceUnavailable, code: "no_encryption_key",
                "Secrets can't be stored: an operator has to set WORKER_ENCRYPTION_KEYS.")
        }
        var creator: UUID?
        if case .member(let member) = request.caller { creator = member.userID }
        let by = creator
        // The answer is remembered without the secret, for a request that is sent again.
        let reply = try await database.reply(to: request, of: "webhooks.add") { connection in
            try Self.requireAdmin(of: workspace, request.caller, connection)
            let rows = try Self.translated {
                try connection.execute(
                    """
                    /* jobworker:api.webhooks.add */
                    INSERT INTO public.webhook_endpoints (workspace_id, url, events, job_types, secret_encrypted, created_by)
                    VALUES (\(workspace), \(url), \(events), \(jobTypes), \(sealed), \(by))
                    RETURNING id
                    """)
            }
            guard let row = rows.first else { throw APIError.missing }
            return Reply(try Self.endpoint(try row.decode("id"), connection), status: .created)
        }
        return try await withSecret(reply, workspace).response
    }

    /// The answer to whoever added an endpoint.
    private func withSecret(_ reply: Reply, _ workspace: UUID?) async throws -> Reply {
        let rows = try await database.translated {
            try await database.asWorker.query(
                """
                /* jobworker:api.webhooks.secret */
                SELECT secret_encrypted FROM public.webhook_endpoints
                WHERE id = (\(JSONText(reply.text))::jsonb ->> 'id')::uuid
                """)
        }
        guard let row = rows.first else { throw APIError.missing }
        let stored: String = try row.decode("secret_encrypted")
        let secret: WebhookSecret
        do throws(KeyVaultError) {
            secret = try WebhookSecret(stored: stored, vault: vault, workspace: workspace)
        } catch {
            throw APIError(.conflict, code: "unreadable_secret", "The endpoint's secret can't be decrypted any more.")
        }
        var whole = Reply(reply.text.dropLast() + #","secret":"\#(secret.reveal())"}"#, status: reply.status)
        whole.isRepeated = reply.isRepeated
        return whole
    }

    private func change(_ request: APIRequest) async throws -> Response {
        guard let document = request.document else { throw APIError.invalidParameter("the body", "is missing") }
        let id = try request.id()
        let url = document["url"]?.string
        let isEnabled = document["enabled"].map { $0 == true }
        let (events, jobTypes) = (Self.texts(document["events"]), Self.texts(document["job_types"]))
        let (hasEvents, hasJobTypes) = (document["events"] != nil, document["job_types"] != nil)
        return try await database.change(request, of: "webhooks.change") { connection in
            _ = try Self.endpoint(id, connection)
            _ = try Self.translated {
                try connection.execute(
                    """
                    /* jobworker:api.webhooks.change */
                    UPDATE public.webhook_endpoints
                    SET url = coalesce(\(url), url), enabled = coalesce(\(isEnabled), enabled),
                        events = CASE WHEN \(hasEvents) THEN \(events) ELSE events END,
                        job_types = CASE WHEN \(hasJobTypes) THEN \(jobTypes) ELSE job_types END
                    WHERE id = \(id)
                    """)
            }
            return Reply(try Self.endpoint(id, connection))
        }
    }

    private func remove(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        return try await database.change(request, of: "webhooks.remove") { connection in
            _ = try Self.endpoint(id, connection)
            try connection.execute(
                "/* jobworker:api.webhooks.remove */ DELETE FROM public.webhook_endpoints WHERE id = \(id)")
            return Reply(#"{"success":true}"#)
        }
    }

    private func test(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        return try await database.change(request, of: "webhooks.test") { connection in
            let rows = try connection.execute(
                "/* jobworker:api.webhooks.test */ SELECT id FROM jobworker.test_webhook(\(id))")
            guard let row = rows.first else { throw APIError.missing }
            return Reply(try Self.delivery(try row.decode("id"), of: id, connection), status: .created)
        }
    }

    private func redeliver(_ request: APIRequest) async throws -> Response {
        let (id, delivery) = (try request.id(), try request.id("delivery_id"))
        return try await database.change(request, of: "webhooks.redeliver") { connection in
            _ = try Self.delivery(delivery, of: id, connection)
            try connection.execute(
                "/* jobworker:api.webhooks.redeliver */ SELECT FROM jobworker.redeliver(\(delivery))")
            return Reply(try Self.delivery(delivery, of: id, connection))
        }
    }
}
