import ArgumentParser
import JobWorker
import Postgres
import Settings
let version = "0.1.0"
@main struct M: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "jobworker", subcommands: [RunCommand.self, Mig.self])
}
struct Mig: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "migrate")
    func run() async throws {
        let c = try Configuration.load(Sources.ofProcess())
        let s = ConnectionSettings(connectionString: c.migrateConnection?.withText { $0 } ?? "", applicationName: "x")
        print(try await Migrator(settings: s).migrate().count)
    }
}
