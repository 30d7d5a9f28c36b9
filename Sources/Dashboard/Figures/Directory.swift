import API
import ControlPlane
import FoundationEssentials
import Postgres
import Tokens

/// The names of workspaces, so that people needn't read ids.
struct Directory: Sendable {
    struct Workspace: Sendable, Hashable {
        let id: UUID
        let name: String
    }

    private let database: APIDatabase
    private let lists = Shared<Viewer, [Workspace]>(lifetime: .seconds(30))
    private let others = Shared<UUID, String?>(lifetime: .seconds(30))

    /// More are found by their ids alone.
    static let listMax = 500

    init(database: APIDatabase) { self.database = database }

    /// Those that somebody may look into, by name; the first `listMax`.
    func workspaces(of caller: Caller) async throws -> [Workspace] {
        try await lists.value(of: Viewer(caller)) { [database] in
            let own: Fragment
            switch caller {
            case .operator: own = "true"
            case .member(let member): own = "id = ANY (\(Array(try await database.workspaces(of: member))))"
            case .anonymous: return []
            }
            let rows = try await database.asWorker.query(
                """
                /* jobworker:dashboard.workspaces */
                SELECT id, name::text AS name FROM public.workspaces WHERE \(own) ORDER BY name, id LIMIT \(sql: String(Self.listMax))
                """)
            return try rows.map { Workspace(id: try $0.decode("id"), name: try $0.decodeIfPresent("name") ?? "") }
        }
    }

    /// The name of a workspace of which somebody sees the id already.
    func name(of id: UUID) async throws -> String? {
        try await others.value(of: id) { [database] in
            let rows = try await database.asWorker.query(
                """
                /* jobworker:dashboard.workspace_name */
                SELECT name::text AS name FROM public.workspaces WHERE id = \(id)
                """)
            return try rows.first?.decodeIfPresent("name")
        }
    }
}
