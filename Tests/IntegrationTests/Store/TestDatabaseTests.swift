import JobWorker
import Support
import Testing

@Suite(.database()) struct TestDatabaseTests {
    let database = TestDatabase.current

    @Test(arguments: 0..<4) func `each test has a database of its own`(_: Int) async throws {
        try await database.insertJob()
        #expect(try await database.count("true") == 1)
    }
}
