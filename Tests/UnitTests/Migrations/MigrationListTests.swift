import FoundationEssentials
import Migrations
import Testing

@Suite struct MigrationListTests {
    /// The folder beside `Tests`, whose files the program embeds.
    private static let folder = #filePath.split(separator: "/").dropLast(4).map { "/" + $0 }.joined() + "/Migrations"

    @Test func `the program has every file of the folder, byte for byte`() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder).filter { $0.hasSuffix(".sql") }
            .sorted()
        #expect(Migration.all.map { $0.label + ".sql" } == files)
        for migration in Migration.all {
            #expect(
                try String(contentsOfFile: "\(Self.folder)/\(migration.label).sql", encoding: .utf8) == migration.sql)
        }
    }

    @Test func `numbers run from 1 without gaps`() {
        #expect(Migration.all.map(\.version) == Array(1...Migration.all.count))
    }

    @Test func `labels have four digits`() {
        #expect(Migration(version: 7, name: "x", sql: "").label == "0007_x")
        #expect(Migration(version: 12345, name: "x", sql: "").label == "12345_x")
    }

    @Test(arguments: Migration.all.map(\.label)) func `a file tells its locks, its rollout and its growth`(
        label: String
    ) throws {
        let migration = try #require(Migration.all.first { $0.label == label })
        let head = migration.sql.split(separator: "\n").prefix { $0.hasPrefix("--") }.joined(separator: "\n")
        #expect(migration.sql.hasPrefix("-- \(label.prefix(4)): "))
        for word in ["-- Locks:", "-- Rollout:", "-- Growth:"] {
            #expect(head.contains(word), "\(label) lacks \(word)")
        }
    }
}
