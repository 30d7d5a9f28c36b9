import Development
import JobWorker
import Postgres

/// Fifty empty databases, each migrated by ten at once.
@Sendable func measureMigrations(_ stage: Stage) async throws -> [Figure] {
    let server = stage.database.server
    var (ended, once) = (0, 0)
    for number in 0..<50 {
        let name = "empty_\(number)"
        try await stage.database.admin.withConnection { try await $0.runScript("CREATE DATABASE \(name)") }
        let settings = ConnectionSettings(
            connectionString: server.connectionString(database: name), applicationName: "figures")
        let applied = await withTaskGroup(of: Int?.self) { group in
            for _ in 0..<10 {
                group.addTask { try? await Migrator(settings: settings).migrate().count }
            }
            return await group.reduce(into: [Int]()) { if let count = $1 { $0.append(count) } }
        }
        if applied.count == 10 { ended += 1 }
        if applied.filter({ $0 > 0 }).count == 1 { once += 1 }
        try await stage.database.admin.withConnection { try await $0.runScript("DROP DATABASE \(name) WITH (FORCE)") }
    }
    return [
        .count("migrations of 50 empty databases by ten at once -> all ten succeed", ended, goal: 50),
        .count("migrations of 50 empty databases by ten at once -> applied by one", once, goal: 50),
    ]
}
