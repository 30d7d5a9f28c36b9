import Support
import Testing

/// The simulation's table must do what the statements do: small histories by chance go through both.
@Suite(.database()) struct ModelTests {
    let database = TestDatabase.current

    @Test(arguments: 1...25)
    func `the model of the table does what PostgreSQL does`(seed: UInt64) async throws {
        var history = try await ModelHistory(database, seed: seed)
        for _ in 0..<40 {
            try await history.step()
            let differences = try await history.differences()
            #expect(differences.isEmpty, "\(history.steps.suffix(12).joined(separator: "\n"))")
            if !differences.isEmpty { return }
        }
    }
}
