import ControlPlane
import Enrichment
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres
import Tokens

/// The settings of a workspace: its key for Apollo, which is written, tested and removed and never comes out, and what
/// enrichment used.
struct WorkspaceRoutes: Sendable {
    private let database: APIDatabase
    private let vault: KeyVault
    private let keys: ApolloKey

    /// - Parameter keys: Works on `database` as the program itself.
    init(database: APIDatabase, vault: KeyVault, keys: ApolloKey) {
        self.database = database
        self.vault = vault
        self.keys = keys
    }

    /// Each under the workspace's path, and in the application's own form with `workspace_id`.
    var routes: [Route] {
        let inQuery = Parameter("workspace_id", Schema(.uuid), "The workspace.", isRequired: true)
        let days = Parameter("days", Schema(.whole(1...366)), "How far back; 30 unless told.")
        let own = "/api/workspaces/{id}/settings", form = "/api/workspace/settings"
        return [
            Route(
                .get, own, access: .members, "Shows the settings of a workspace.",
                answers: [Answer("The settings.", Self.settings)], refusals: [.notFound], handler: show),
            Route(
                .patch, own, access: .members, "Changes the settings of a workspace. For admins.",
                body: Self.change(withWorkspace: false), answers: [Answer("The settings.", Self.settings)],
                refusals: [.forbidden, .notFound], audit: ["settings.change", "settings.add"], handler: change),
            Route(
                .get, own + "/apollo-key", access: .members,
                "Tells whether a workspace has an Apollo key, and its last four characters.",
                answers: [Answer("What may be told.", Self.status)], refusals: [.notFound], handler: status),
            Route(
                .put, own + "/apollo-key", access: .members, "Stores a workspace's Apollo key. For admins.",
                parameters: [.idempotencyKey], body: Self.keyBody(withWorkspace: false),
                answers: [Answer("It is stored.", Self.stored)], refusals: [.forbidden, .notFound],
                audit: ["settings.change", "settings.add"], handler: set),
            Route(
                .delete, own + "/apollo-key", access: .members, "Removes a workspace's Apollo key. For admins.",
                parameters: [.reason], answers: [Answer("It is gone.", Self.stored)],
                refusals: [.forbidden, .notFound], audit: ["settings.change"], handler: remove),
            Route(
                .post, own + "/apollo-key/rotate", access: .members,
                "Encrypts the stored key anew with the current encryption key. For admins.",
                parameters: [.idempotencyKey], body: .reasonAlone, isBodyRequired: false,
                answers: [
                    Answer(
                        "Done.",
                        Schema(.object([.init("rotated", Schema(.boolean), isRequired: true)], isOpen: true)))
                ], refusals: [.forbidden, .notFound, .conflict], audit: ["settings.rotate_key"], handler: rotate),
            Route(
                .post, own + "/test-apollo-connection", access: .members,
                "Asks Apollo whether it accepts the stored key. For admins.",
                answers: [Answer("What Apollo says.", Self.test)], refusals: [.forbidden, .notFound], handler: test),
            Route(
                .get, "/api/workspaces/{id}/enrichment-usage", access: .members, "Shows what enrichment used, by day.",
                parameters: [days], answers: [Answer("The use.", Self.usage)], refusals: [.notFound], handler: usage),

            Route(
                .get, form, access: .members, "Shows the settings of a workspace.", parameters: [inQuery],
                answers: [Answer("The settings.", Self.settings)], refusals: [.notFound], handler: show),
            Route(
                .patch, form, access: .members, "Changes the settings of a workspace. For admins.",
                body: Self.change(withWorkspace: true), answers: [Answer("The settings.", Self.settings)],
                refusals: [.forbidden, .notFound], audit: ["settings.change", "settings.add"], handler: change),
            Route(
                .post, form + "/apollo-key", access: .members, "Stores a workspace's Apollo key. For admins.",
                parameters: [.idempotencyKey], body: Self.keyBody(withWorkspace: true),
                answers: [Answer("It is stored.", Self.stored)], refusals: [.forbidden, .notFound],
                audit: ["settings.change", "settings.add"], handler: set),
            Route(
                .delete, form + "/apollo-key", access: .members, "Removes a workspace's Apollo key. For admins.",
                parameters: [inQuery, .reason], answers: [Answer("It is gone.", Self.stored)],
                refusals: [.forbidden, .notFound], audit: ["settings.change"], handler: remove),
            Route(
                .post, form + "/test-apollo", access: .members,
                "Asks Apollo whether it accepts the stored key. For admins.",
                body: Schema(.object([.init("workspace_id", Schema(.uuid), isRequired: true)], isOpen: false)),
                answers: [Answer("What Apollo says.", Self.test)], refusals: [.forbidden, .notFound], handler: test),
            Route(
                .get, "/api/workspace/enrichment-usage", access: .members, "Shows what enrichment used, by day.",
                parameters: [inQuery, days], answers: [Answer("The use.", Self.usage)], refusals: [.notFound],
                handler: usage),
        ]
    }

    // MARK: Forms

    private static func change(withWorkspace: Bool) -> Schema {
        Schema(
            .object(
                (withWorkspace ? [.init("workspace_id", Schema(.uuid), isRequired: true)] : [])
                    + [.init("apollo_auto_enrich", Schema(.boolean), isRequired: true), .reason], isOpen: false))
    }

    private static func keyBody(withWorkspace: Bool) -> Schema {
        Schema(
            .object(
                (withWorkspace ? [.init("workspace_id", Schema(.uuid), isRequired: true)] : [])
                    + [.init("api_key", apiKey, isRequired: true), .reason], isOpen: false))
    }

    private static let apiKey = Schema(
        .pattern(
            "^[!-~]{1,512}$",
            takes: { text in
                (1...512).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
            }, rule: "1 to 512 printable ASCII characters without spaces"))

    private static let settings = Schema(
        .object(
            [
                .init("workspace_id", Schema(.uuid), isRequired: true),
                .init("apollo_api_key_configured", Schema(.boolean), isRequired: true),
                .init("apollo_auto_enrich", Schema(.boolean), isRequired: true),
                .init("enrichment_credits_used", JobDocument.whole, isRequired: true),
                .init("last_enrichment_at", Schema(.moment).orNull, isRequired: true),
            ], isOpen: true))

    private static let status = Schema(
        .object(
            [
                .init("apollo_api_key_configured", Schema(.boolean), isRequired: true),
                .init("last_four", Schema(.text(0...4, isOneLine: true)).orNull, isRequired: true),
            ], isOpen: true))

    private static let stored = Schema(
        .object(
            [
                .init("success", Schema(.boolean), isRequired: true),
                .init("apollo_api_key_configured", Schema(.boolean), isRequired: true),
                .init("last_four", Schema(.text(0...4, isOneLine: true)).orNull, isRequired: true),
            ], isOpen: true))

    private static let test = Schema(
        .object(
            [
                .init("success", Schema(.boolean), isRequired: true),
                .init("error_message", JobDocument.prose.orNull, isRequired: true),
            ], isOpen: true))

    private static let usage = Schema(
        .object(
            ["credits_used", "accounts_enriched", "contacts_enriched"].map {
                .init($0, JobDocument.whole, isRequired: true)
            } + [
                .init("daily_average", Schema(.number), isRequired: true),
                .init(
                    "last_30_days",
                    Schema(
                        .list(
                            Schema(
                                .object(
                                    [.init("date", Schema(.text(10...10, isOneLine: true)), isRequired: true)]
                                        + ["credits", "accounts", "contacts"].map {
                                            .init($0, JobDocument.whole, isRequired: true)
                                        }, isOpen: true)), 0...366)), isRequired: true),
            ], isOpen: true))

    // MARK: Who

    private static func workspace(_ request: APIRequest) throws(APIError) -> UUID {
        if let id = request.document?["workspace_id"]?.string.flatMap({ UUID(uuidString: $0) }) { return id }
        let place = request.parameters["id"] == nil ? "workspace_id" : "id"
        return try request.id(place)
    }

    /// - Throws: 404 for somebody who may not know that it exists, 403 where an admin is needed.
    private static func require(
        _ workspace: UUID, isAdmin: Bool = false, _ caller: Caller, _ connection: isolated Connection
    ) throws {
        let question: Statement =
            if case .member = caller {
                """
                /* jobworker:api.workspaces.rights */
                SELECT jobworker.is_member(\(workspace)) AS knows, jobworker.is_admin(\(workspace)) AS rules
                """
            } else {
                """
                /* jobworker:api.workspaces.exists */
                SELECT count(*) > 0 AS knows, true AS rules FROM public.workspaces WHERE id = \(workspace)
                """
            }
        guard let row = try connection.execute(question).first, try row.decode("knows") else { throw APIError.missing }
        if isAdmin, try !row.decode("rules", as: Bool.self) { throw APIError.adminsOnly }
    }

    // MARK: Settings

    private func show(_ request: APIRequest) async throws -> Response {
        let workspace = try Self.workspace(request)
        return try await database.read(request) { connection in
            try Self.require(workspace, request.caller, connection)
            return Reply(try Self.settings(of: workspace, connection)).response
        }
    }

    private static func settings(of workspace: UUID, _ connection: isolated Connection) throws -> String {
        let rows = try connection.execute(
            """
            /* jobworker:api.workspaces.settings */
            SELECT row_to_json(shown)::text AS row
            FROM (SELECT wanted.id AS workspace_id,
                         coalesce(apollo_api_key_configured, false) AS apollo_api_key_configured,
                         coalesce(apollo_auto_enrich, false) AS apollo_auto_enrich,
                         coalesce(enrichment_credits_used, 0) AS enrichment_credits_used, last_enrichment_at
                  FROM (SELECT \(workspace) AS id) AS wanted
                  LEFT JOIN public.workspace_settings AS settings ON settings.workspace_id = wanted.id) AS shown
            """)
        guard let text = try rows.json().first else { throw APIError.missing }
        return text
    }

    private func change(_ request: APIRequest) async throws -> Response {
        let workspace = try Self.workspace(request)
        let isOn = request.document?["apollo_auto_enrich"] == true
        return try await database.change(request, of: "settings") { connection in
            try Self.require(workspace, isAdmin: true, request.caller, connection)
            try connection.execute(
                """
                /* jobworker:api.workspaces.change */
                INSERT INTO public.workspace_settings (workspace_id, apollo_auto_enrich) VALUES (\(workspace), \(isOn))
                ON CONFLICT (workspace_id) DO UPDATE SET apollo_auto_enrich = \(isOn), updated_at = now()
                """)
            return Reply(try Self.settings(of: workspace, connection))
        }
    }

    // MARK: Key

    private func status(_ request: APIRequest) async throws -> Response {
        let workspace = try Self.workspace(request)
        return try await database.read(request) { connection in
            try Self.require(workspace, request.caller, connection)
            let rows = try connection.execute(
                """
                /* jobworker:api.workspaces.key */
                SELECT apollo_api_key_configured AS is_there, apollo_api_key_hint AS hint
                FROM public.workspace_settings WHERE workspace_id = \(workspace)
                """)
            let isThere: Bool = try rows.first?.decodeIfPresent("is_there") ?? false
            let hint: String? = try rows.first?.decodeIfPresent("hint")
            return Reply(Self.status(isThere, hint: isThere ? hint : nil, isDone: false).text).response
        }
    }

    private static func status(_ isThere: Bool, hint: String?, isDone: Bool) -> JSONNode {
        // Whoever may write the row may write a hint of any length.
        var members: [JSONNode.Member] = [
            .init("apollo_api_key_configured", .bool(isThere)),
            .init("last_four", hint.map { .string(String($0.suffix(4))) } ?? .null),
        ]
        if isDone { members.append(.init("success", true)) }
        return .object(members)
    }

    private func set(_ request: APIRequest) async throws -> Response {
        guard let key = request.document?["api_key"]?.string.flatMap({ APIKey($0) }) else {
            throw APIError.invalidParameter("api_key", "is missing")
        }
        let workspace = try Self.workspace(request)
        let sealed: String
        do throws(KeyVaultError) {
            sealed = try vault.seal(key, workspace: workspace)
        } catch {
            throw APIError(.serviceUnavailable, code: "encryption_not_configured", "\(error)".asSentence)
        }
        return try await write(
            sealed, hint: key.lastFour, of: workspace, standIn: vault.fingerprint(of: key, workspace: workspace),
            request)
    }

    private func remove(_ request: APIRequest) async throws -> Response {
        try await write(nil, hint: nil, of: try Self.workspace(request), request)
    }

    /// - Parameters:
    ///   - sealed: `nil` removes the key; new accounts and contacts are no longer enriched by themselves then.
    ///   - standIn: What is remembered of the request in place of its body.
    private func write(
        _ sealed: String?, hint: String?, of workspace: UUID, standIn: String? = nil, _ request: APIRequest
    ) async throws -> Response {
        let response = try await database.change(request, of: "settings.key", standIn: standIn) { connection in
            try Self.require(workspace, isAdmin: true, request.caller, connection)
            try connection.execute(
                """
                /* jobworker:api.workspaces.set_key */
                INSERT INTO public.workspace_settings (workspace_id, apollo_api_key_encrypted, apollo_api_key_hint)
                VALUES (\(workspace), \(sealed), \(hint))
                ON CONFLICT (workspace_id) DO UPDATE
                SET apollo_api_key_encrypted = \(sealed), apollo_api_key_hint = \(hint),
                    apollo_auto_enrich = CASE WHEN \(sealed) IS NULL THEN false
                                              ELSE public.workspace_settings.apollo_auto_enrich END,
                    updated_at = now()
                """)
            return Reply(Self.status(sealed != nil, hint: hint, isDone: true).text)
        }
        try await database.translated { try await keys.forgetRefusals(workspace: workspace) }
        return response
    }

    /// Whether the caller rules there.
    private func requireAdmin(of workspace: UUID, _ request: APIRequest) async throws {
        try await database.read(request) { connection in
            try Self.require(workspace, isAdmin: true, request.caller, connection)
        }
    }

    private func rotate(_ request: APIRequest) async throws -> Response {
        let workspace = try Self.workspace(request)
        try await requireAdmin(of: workspace, request)
        do {
            // No member may read what is stored.
            return try await database.change(request, of: "settings.rotate_key", asProgram: true) { connection in
                let isRotated = try keys.rotate(workspace: workspace, connection)
                return Reply(#"{"rotated":\#(isRotated)}"#)
            }
        } catch let error as KeyVaultError {
            throw error == .noKeys
                ? APIError(.serviceUnavailable, code: "encryption_not_configured", "\(error)".asSentence)
                : APIError(.conflict, code: "key_unreadable", "The stored key can't be decrypted: enter it again.")
        }
    }

    private func test(_ request: APIRequest) async throws -> Response {
        let workspace = try Self.workspace(request)
        try await requireAdmin(of: workspace, request)
        let result = try await database.translated { try await keys.test(workspace: workspace) }
        let document: JSONNode = [
            "success": .bool(result.success),
            "error_message": result.errorMessage.map { .string($0) } ?? .null,
        ]
        return Reply(document.text).response
    }

    // MARK: Use

    private func usage(_ request: APIRequest) async throws -> Response {
        let workspace = try Self.workspace(request)
        let days = try request.number("days", in: 1...366) ?? 30
        return try await database.read(request) { connection in
            try Self.require(workspace, request.caller, connection)
            let rows = try connection.execute(
                """
                /* jobworker:api.workspaces.usage */
                WITH used AS (
                    SELECT (log.created_at AT TIME ZONE 'UTC')::date AS day, jobs.id, jobs.job_type, jobs.status,
                           CASE WHEN jsonb_typeof(log.metadata -> 'credits_used') = 'number'
                                THEN (log.metadata ->> 'credits_used')::numeric ELSE 0 END AS credits
                    FROM public.jobs JOIN public.job_logs AS log ON log.job_id = jobs.id
                    WHERE jobs.workspace_id = \(workspace) AND jobs.job_type IN ('enrich_account', 'enrich_contact')
                      AND log.created_at > now() - make_interval(days => \(days)::int) AND log.metadata ? 'apollo_call'
                ),
                daily AS (
                    SELECT to_char(day, 'YYYY-MM-DD') AS date, sum(credits)::bigint AS credits,
                           count(DISTINCT id) FILTER (WHERE job_type = 'enrich_account' AND status = 'completed') AS accounts,
                           count(DISTINCT id) FILTER (WHERE job_type = 'enrich_contact' AND status = 'completed') AS contacts
                    FROM used GROUP BY day ORDER BY day
                )
                SELECT json_build_object(
                           'credits_used', coalesce(sum(credits), 0), 'accounts_enriched', coalesce(sum(accounts), 0),
                           'contacts_enriched', coalesce(sum(contacts), 0),
                           'daily_average', round(coalesce(sum(credits), 0)::numeric / \(days)::int, 2),
                           'last_30_days', coalesce(json_agg(daily), '[]'))::text AS row
                FROM daily
                """)
            guard let text = try rows.json().first else { throw APIError.missing }
            return Reply(text).response
        }
    }
}
