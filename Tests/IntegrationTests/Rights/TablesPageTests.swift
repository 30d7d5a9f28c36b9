import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// `docs/tables.md` says what the catalogue says.
@Suite(.database()) struct TablesPageTests {
    let database = TestDatabase.current

    private static var page: String {
        get throws {
            let root = #filePath.split(separator: "/").dropLast(4).map { "/" + $0 }.joined()
            return try String(contentsOfFile: root + "/docs/tables.md", encoding: .utf8)
        }
    }

    /// Each column as the page has it: `jobs.status varchar(20) read add change`.
    private static func columns(of page: String) -> [String] {
        var table = ""
        var found: [String] = []
        for line in page.split(separator: "\n") {
            if line.hasPrefix("### ") { table = String(line.dropFirst(4)) }
            guard !table.isEmpty, line.hasPrefix("| `") else { continue }
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).map {
                String($0).replacing("`", with: "").split(separator: " ").joined(separator: " ")
            }
            found.append("\(table).\(cells[1]) \(cells[2]) \(cells[3] == "—" ? "nothing" : cells[3])")
        }
        return found
    }

    @Test func `every column stands on the page with its type and what members may do with it`() async throws {
        let rows = try await database.query(
            """
            SELECT format('%s.%s %s %s', class.relname, attribute.attname,
                          replace(replace(format_type(attribute.atttypid, attribute.atttypmod),
                                          'timestamp with time zone', 'timestamptz'), 'character varying', 'varchar'),
                          coalesce(nullif(concat_ws(' ',
                              CASE WHEN has_column_privilege('authenticated', class.oid, attnum, 'SELECT') THEN 'read' END,
                              CASE WHEN has_column_privilege('authenticated', class.oid, attnum, 'INSERT') THEN 'add' END,
                              CASE WHEN has_column_privilege('authenticated', class.oid, attnum, 'UPDATE') THEN 'change' END),
                              ''), 'nothing')) AS line
            FROM pg_catalog.pg_class AS class
            JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = class.oid
                AND attribute.attnum > 0 AND NOT attribute.attisdropped
            WHERE class.relkind IN ('r', 'p') AND class.relnamespace = 'public'::regnamespace
              -- The application's own, and what only the program reads.
              AND class.relname NOT IN ('workspaces', 'workspace_members', 'accounts', 'contacts', 'jobworker_migrations')
            """)
        let expected = Set(try rows.map { try $0.decode("line", as: String.self) })
        let found = Set(Self.columns(of: try Self.page))
        #expect(expected.subtracting(found).sorted() == [], "these are missing on docs/tables.md, or others there")
        #expect(found.subtracting(expected).sorted() == [], "these stand on docs/tables.md and are not so")
    }

    @Test func `the functions on the page are there, and members may call them`() async throws {
        let page = try Self.page
        let calls = page.matches(of: /\| `(jobworker\.[a-z_]+\([a-z, ]+\))`/).map { String($0.output.1) }
        #expect(calls.count == 6)
        for call in calls {
            let may: Bool? = try await database.value(
                "SELECT has_function_privilege('authenticated', to_regprocedure(\(call)), 'EXECUTE')")
            #expect(may == true, "\(call)")
        }
    }

    @Test func `the page's SQL is right, for a member`() async throws {
        let workspace = TestDatabase.workspace
        let member = try await database.insertMember()
        let page = try Self.page
        let block = try #require(page.matches(of: /```sql\n([^`]+)```/).first).output.1
        let statements = block.split(separator: ";").map { String($0) }.filter {
            $0.contains("jobs") || $0.contains("job(")
        }
        #expect(statements.count == 5)
        let (id, done) = (try await database.insertJob(), try await database.insertJob(status: .failed))
        for statement in statements {
            let target = statement.contains("retry_job") ? done : id
            let account = #"account_id": "…"#
            let sql = statement.replacing(account, with: #"account_id": "x"#)
                .replacing("VALUES ('…'", with: "VALUES ('\(workspace.text)'").replacing(
                    "'…'", with: "'\(target.text)'")
            let count = try await database.asUser(member) { connection in
                let rows = try connection.execute(Statement(stringLiteral: sql))
                return max(rows.count, rows.affected)
            }
            #expect(count == 1, "\(sql)")
        }
        #expect(try await database.job(id).status == "cancelled")
        #expect(try await database.job(done).status == "pending")
    }
}
