import FoundationEssentials
import Postgres
import Support
import Testing

/// Two workspaces with their people, for the tests of what members may do.
struct Tenants {
    let database: TestDatabase
    let mine = TestDatabase.workspace
    let theirs: UUID
    /// An active member of mine, without special rights.
    let member: UUID
    let admin: UUID
    /// Owns mine, without a membership.
    let owner: UUID
    let stranger: UUID

    init(in database: TestDatabase) async throws {
        self.database = database
        owner = try await database.insertUser()
        try await database.query("UPDATE public.workspaces SET owner_id = \(owner) WHERE id = \(mine)")
        theirs = try await database.insertWorkspace()
        member = try await database.insertMember(of: mine)
        admin = try await database.insertMember(of: mine, role: "admin")
        stranger = try await database.insertMember(of: theirs, role: "admin")
    }

    /// What a statement does as a user: how many rows it changed or found, or the SQLSTATE of the refusal.
    func attempt(_ statement: Statement, as user: UUID?) async throws -> Attempt {
        do {
            return .rows(try await database.asUser(user) { try $0.execute(statement).affected })
        } catch let error as PostgresError {
            guard let state = error.sqlState else { throw error }
            return .refused(state)
        }
    }
}

enum Attempt: Equatable {
    case rows(Int)
    case refused(String)
}
