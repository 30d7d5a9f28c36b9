import API
import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres

/// What all pages share.
struct Parts: Sendable {
    struct DocumentKey: Hashable {
        let viewer: Viewer
        let path: String
        let query: String
    }

    struct FigureKey: Hashable {
        let viewer: Viewer
        let scope: OverviewFigures.Scope
    }

    struct RunKey: Hashable {
        let viewer: Viewer
        let scope: OverviewFigures.Scope
        let choice: RunFigures.Choice
    }

    let api: RouteTable
    let database: APIDatabase
    let settings: @Sendable () async -> [Dashboard.Setting]
    let directory: Directory
    let documents: Shared<DocumentKey, JSONNode>
    let figures: Shared<FigureKey, OverviewFigures>
    /// Workers store what ran every ten seconds.
    let runs = Shared<RunKey, RunFigures>(lifetime: .seconds(5))
    let waiting = Shared<Bool, [RunFigures.Kind]>(lifetime: .seconds(5))
    let rules = Shared<Bool, [QueueRule]>()
    let notices = Shared<FigureKey, [Notice]>(lifetime: .seconds(5))
    let groups: Shared<FigureKey, [ErrorGroup]>

    init(
        api: RouteTable, database: APIDatabase, hub: EventHub,
        settings: @escaping @Sendable () async -> [Dashboard.Setting]
    ) {
        documents = Shared { hub.lastChange }
        figures = Shared { hub.lastChange }
        groups = Shared { hub.lastChange }
        self.api = api
        self.database = database
        self.settings = settings
        directory = Directory(database: database)
    }

    /// Somebody changed something: pages are to show it at once.
    func forget() async {
        await documents.forget()
        await figures.forget()
        await rules.forget()
        await groups.forget()
        await notices.forget()
    }
}

/// A request of somebody who is signed in.
struct Visit: Sendable {
    let session: Session
    let cookie: String
    let request: APIRequest
    let parts: Parts
    /// Those that may be chosen, by name.
    let workspaces: [Directory.Workspace]
    /// The one that is looked at alone.
    let workspace: Directory.Workspace?

    /// - Throws: `APIError` where the query names a workspace that isn't known.
    init(session: Session, cookie: String, request: APIRequest, parts: Parts) async throws {
        self.session = session
        self.cookie = cookie
        self.request = request
        self.parts = parts
        workspaces = try await parts.directory.workspaces(of: session.caller)
        let text = (try request.text("workspace_id") ?? "").trimmingBlanks
        if text.isEmpty {
            workspace = nil
        } else if let known = workspaces.first(where: { $0.id.text == text.lowercased() || $0.name == text }) {
            workspace = known
        } else if let id = UUID(uuidString: text) {
            // What isn't the caller's own shows nothing: the policies see to that.
            workspace = Directory.Workspace(id: id, name: String(id.text.prefix(8)))
        } else {
            throw APIError.invalidParameter("workspace", "must be a name or an id that is known")
        }
    }

    func parameter(_ name: String) -> String { (request.parameters[name] ?? "").percentEncoded }

    var isOperator: Bool { if case .operator = session.caller { true } else { false } }

    var workspaceQuery: String { workspace.map { "workspace_id=\($0.id.text)" } ?? "" }

    func query(_ name: String) throws -> String { (try request.text(name) ?? "").trimmingBlanks }

    /// A query of those of the page's own parameters that hold something.
    func query(of names: [String]) throws -> String {
        try names.flatMap { name in
            if name == "workspace_id" { return [workspaceQuery] }
            return try request.queryValues(name).map(\.trimmingBlanks).filter { !$0.isEmpty }.map {
                "\(name)=\($0.percentEncoded)"
            }
        }.joinedQuery
    }

    /// What a route answers; asked by many at once it is asked once.
    func get(_ path: String, _ query: String = "") async throws -> JSONNode {
        let (api, caller) = (parts.api, session.caller)
        return try await parts.documents.value(of: .init(viewer: Viewer(caller), path: path, query: query)) {
            try await api.document(.get, path, query: query, as: caller, via: .dashboard)
        }
    }

    func send(_ method: HTTPRequest.Method, _ path: String, query: String = "", _ body: JSONNode? = nil) async throws
        -> JSONNode
    {
        try await parts.api.document(method, path, query: query, body: body, as: session.caller, via: .dashboard)
    }

    func layout(_ path: String) -> Layout { Layout(session: session, path: path, visit: self) }

    var formToken: HTML { Layout.formToken(session) }

    /// A button that does something by itself.
    func button(_ action: String, _ title: String, isDangerous: Bool = false) -> HTML {
        let style: HTML = isDangerous ? " class=\"danger\" data-confirm=\"\(title)?\"" : ""
        return "<form method=\"post\" action=\"\(action)\">\(formToken)<button\(style)>\(title)</button></form>"
    }

    /// Where a list goes on.
    func older(_ path: String, _ query: String = "", _ document: JSONNode) -> HTML {
        guard let cursor = document["next_cursor"]?.string else { return "" }
        return """
            <nav class="pages" aria-label="Pages of the list"><a rel="next" data-page="older" href="\(path)?\([
                query, "cursor=\(cursor.percentEncoded)",
            ].joinedQuery)">Older</a></nav>
            """
    }

    // MARK: Workspaces

    /// The names of the workspaces that entries of a list are of.
    func names(in entries: [JSONNode]) async -> [String: String] {
        var names: [String: String] = [:]
        for workspace in workspaces { names[workspace.id.text] = workspace.name }
        for entry in entries {
            guard let text = entry["workspace_id"]?.string, names[text] == nil, let id = UUID(uuidString: text) else {
                continue
            }
            names[text] = (try? await parts.directory.name(of: id)) ?? ""
        }
        return names
    }

    /// A workspace, with a link to what is its own.
    static func name(_ node: JSONNode?, _ names: [String: String]) -> HTML {
        guard let id = node?.string else { return "—" }
        let name = names[id] ?? ""
        return
            "<a href=\"/dashboard?workspace_id=\(address: id)\" title=\"\(id)\">\(name.isEmpty ? String(id.prefix(8)) : name)</a>"
    }

    // MARK: Figures

    var scope: OverviewFigures.Scope {
        .init(session.caller, workspace?.id, mine: workspaces.map(\.id))
    }

    func figures() async throws -> OverviewFigures {
        let (database, caller, scope) = (parts.database, session.caller, scope)
        return try await parts.figures.value(of: .init(viewer: Viewer(caller), scope: scope)) {
            try await OverviewFigures.read(database, as: caller, scope)
        }
    }

    func runFigures(_ choice: RunFigures.Choice) async throws -> RunFigures {
        let (database, caller, scope) = (parts.database, session.caller, scope)
        return try await parts.runs.value(of: .init(viewer: Viewer(caller), scope: scope, choice: choice)) {
            try await RunFigures.read(database, as: caller, scope, choice)
        }
    }

    /// What is to be said to whoever looks at this scope.
    func notices() async throws -> [Notice] {
        try await parts.notices.value(of: .init(viewer: Viewer(session.caller), scope: scope)) {
            await Notices.all(self)
        }
    }

    /// Kinds of jobs of which some wait, among the first two hundred of each queue and priority. Relies on `jobs_due`.
    /// For operators.
    func waitingKinds() async throws -> [RunFigures.Kind] {
        let database = parts.database
        return try await parts.waiting.value(of: true) {
            let rows = try await database.asWorker.query(
                """
                /* jobworker:dashboard.waiting */
                WITH RECURSIVE \(JobStore.everyLane(named: [], others: 1))
                SELECT DISTINCT lanes.queue, first.job_type
                FROM (SELECT * FROM lanes LIMIT 500) AS lanes CROSS JOIN LATERAL (
                    SELECT jobs.job_type FROM public.jobs
                    WHERE jobs.status = 'pending' AND coalesce(jobs.job_queue, 'default') = lanes.queue
                      AND coalesce(jobs.priority, 0) = lanes.urgency AND jobs.workspace_id IS NOT NULL
                      AND jobs.created_at < clock_timestamp() - interval '30 seconds'
                    \(JobStore.inOrder)
                    LIMIT 200) AS first
                ORDER BY 1, 2
                """)
            return try rows.map { RunFigures.Kind(queue: try $0.decode("queue"), type: try $0.decode("job_type")) }
        }
    }

    /// What people set for queues. For operators.
    func queueRules() async throws -> [QueueRule] {
        let database = parts.database
        return try await parts.rules.value(of: true) { try await QueueRule.read(database) }
    }
}

extension String {
    var trimmingBlanks: String {
        var text = self[...]
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}

extension [String] {
    /// Parts of a query, without the empty ones.
    var joinedQuery: String { filter { !$0.isEmpty }.joined(separator: "&") }
}
