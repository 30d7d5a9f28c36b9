import FoundationEssentials
import Testing

@testable import Postgres

@Suite struct StatementTests {
    @Test func `a value can only become a parameter`() {
        let name = "x'; DROP TABLE jobs; --"
        let nobody: String? = nil
        let statement: Statement = "SELECT \(name), \(7), \(nobody), \(true)"
        #expect(statement.sql == "SELECT $1, $2, $3, $4")
        #expect(statement.parameters.map(\.text) == [name, "7", nil, "t"])
        #expect(statement.parameters.map(\.type) == [25, 20, 25, 16])
    }

    @Test func `a fragment's values are numbered on from where it stands`() {
        let inner: Fragment = "b = \(2)"
        let outer: Fragment = "(\(inner) OR c = \(3))"
        let statement: Statement = "WHERE a = \(1) AND \(outer) AND d = \(4)"
        #expect(statement.sql == "WHERE a = $1 AND (b = $2 OR c = $3) AND d = $4")
        #expect(statement.parameters.map(\.text) == ["1", "2", "3", "4"])
    }

    @Test func `fragments are joined with a separator between them`() {
        let statement: Statement =
            "SET \(Fragment.joined(["a = \(1)", "b = now()", "c = \(2)"], separator: ", ")) WHERE x"
        #expect(statement.sql == "SET a = $1, b = now(), c = $2 WHERE x")
        let nothing: Statement = "SELECT 1 \(Fragment.joined([], separator: ", "))"
        #expect(nothing.sql == "SELECT 1 " && nothing.parameters.isEmpty)
    }

    @Test(arguments: [
        ("/* jobworker:claim */ SELECT 1", "jobworker:claim"),
        ("\n  /* jobworker:claim */\nSELECT 1", "jobworker:claim"),
        ("/**/ SELECT 1", ""),
        ("SELECT 1\nFROM jobs", "SELECT 1"),
        ("SELECT a, b, c, d, e, f, g, h, i, j, k, l, m, n", "SELECT a, b, c, d, e, f, g, h, i, j, k, "),
        ("/* never ends", "never ends"), ("", ""),
    ])
    func `a statement is named by its comment, else by its first words`(sql: String, name: String) {
        #expect(Statement(stringLiteral: sql).name == name)
    }

    @Test func `values are written as PostgreSQL reads them`() {
        #expect(Parameter(1.5).text == "1.5")
        #expect(Parameter(Double.infinity).text == "Infinity" && Parameter(-Double.infinity).text == "-Infinity")
        #expect(Parameter(Double.nan).text == "NaN")
        #expect(Parameter(Duration.milliseconds(1500)).text == "1 seconds 500000 microseconds")
        #expect(Parameter(Duration.milliseconds(-1500)).text == "-1 seconds -500000 microseconds")
        let id = UUID(uuidString: "ABCDEF00-0000-4000-8000-000000000001")!
        #expect(Parameter(id).text == "abcdef00-0000-4000-8000-000000000001")
        #expect(Parameter([id]).type == 2951 && Parameter(["a"]).type == 1009 && Parameter([1]).type == 1016)
        #expect(Parameter(NullableArray([1, nil])).text == "{\"1\",NULL}")
        #expect(Parameter(NullableArray([Timestamp?.none])).type == 1185)
    }

    private typealias Parameter = Statement.Parameter
}
