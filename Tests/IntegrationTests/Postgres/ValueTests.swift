import FoundationEssentials
import Postgres
import Support
import Testing

@Suite(.database(.nothing)) struct ValueTests {
    let database = TestDatabase.current

    private func roundTrip<Value: PostgresCodable>(_ value: Value) async throws -> Value? {
        try await database.value("SELECT \(value) AS value")
    }

    @Test func `values come back as they went`() async throws {
        let id = UUID()
        #expect(try await roundTrip(id) == id)
        for text in ["", "Größe", "日本 👩‍🔧", "a'b\"c\\d\ne\tf", "NULL", String(repeating: "x", count: 100_000)] {
            #expect(try await roundTrip(text) == text)
        }
        for number in [0, -1, Int.max, Int.min] { #expect(try await roundTrip(number) == number) }
        for number in [0.1, -1e300, .leastNonzeroMagnitude, .infinity] {
            #expect(try await roundTrip(number) == number)
        }
        #expect(try await roundTrip(Double.nan)?.isNaN == true)
        for truth in [true, false] { #expect(try await roundTrip(truth) == truth) }
    }

    @Test(arguments: [
        "2026-03-02T08:15:00.123456Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "infinity", "-infinity",
    ])
    func `a time comes back to the microsecond`(text: String) async throws {
        let time = try #require(Timestamp(text: text))
        #expect(try await roundTrip(time) == time)
    }

    @Test func `arrays keep NULL, quotes, commas and braces`() async throws {
        let texts = ["a,b", "{c}", "\"", "\\", "", "NULL", "d e", "日本"]
        #expect(try await roundTrip(texts) == texts)
        #expect(try await roundTrip([Int]()) == [])
        #expect(try await roundTrip([1, -2]) == [1, -2])
        let ids = [UUID(), UUID()]
        #expect(try await roundTrip(ids) == ids)
        let given: [String?] = ["a\"b", nil, "NULL"]
        let rows = try await database.query("SELECT * FROM unnest(\(NullableArray(given))) AS list (value)")
        #expect(try rows.map { try $0.decodeIfPresent("value", as: String.self) } == given)
    }

    @Test func `jsonb passes through as text that nobody parses`() async throws {
        let json = RawJSON("{\"n\": 123456789012345678901234567890.10, \"s\": \"\\u00e4\"}")
        #expect(try await roundTrip(json)?.text == "{\"n\": 123456789012345678901234567890.10, \"s\": \"ä\"}")
        #expect(try await TestDatabase.refusal { try await roundTrip(RawJSON("{\"a\":")) } == "22P02")
    }

    @Test func `NULL, a missing column and another form are told apart`() async throws {
        let row = try #require(try await database.query("SELECT NULL::text AS nothing, 'x' AS word").first)
        #expect(try row.decodeIfPresent("nothing", as: Int.self) == nil)
        for (column, part) in [("nothing", "is NULL"), ("word", "can't be read as Int"), ("other", "no column other")] {
            #expect {
                try row.decode(column, as: Int.self)
            } throws: {
                ($0 as? PostgresError)?.reason == .malformed && "\($0)".contains(part)
            }
        }
    }

    @Test func `text with a NUL is refused before it is cut short`() async throws {
        #expect(try await TestDatabase.refusal { try await roundTrip("a\0b") } == "22021")
        #expect(try await roundTrip("the session goes on") == "the session goes on")
    }

    @Test func `a session's zone and formats don't depend on the role or the database`() async throws {
        try await database.run(
            """
            ALTER DATABASE \(database.name) SET TimeZone = 'Asia/Tokyo';
            ALTER DATABASE \(database.name) SET DateStyle = 'German';
            ALTER DATABASE \(database.name) SET default_transaction_isolation = 'serializable';
            """)
        await database.pool.closeIdle()
        let time = try #require(Timestamp(text: "2026-03-02T08:15:00Z"))
        #expect(try await roundTrip(time) == time)
        #expect(try await database.value("SELECT current_setting('transaction_isolation')") == "read committed")
    }

    @Test func `no statement is compiled, whatever the server thinks of its size`() async throws {
        try await database.run(
            """
            ALTER DATABASE \(database.name) SET jit = on;
            ALTER DATABASE \(database.name) SET jit_above_cost = 0;
            """)
        await database.pool.closeIdle()
        let plan = try await database.query("EXPLAIN (ANALYZE) SELECT sum(n) FROM generate_series(1, 1000) AS n")
        #expect(!plan.contains { $0.texts.contains { $0.text?.hasPrefix("JIT") ?? false } })
    }

    @Test func `a function in public can't take the place of PostgreSQL's own`() async throws {
        try await database.run("CREATE FUNCTION public.pg_backend_pid() RETURNS int LANGUAGE sql AS 'SELECT -1'")
        #expect(try await database.value("SELECT pg_backend_pid() > 0") == true)
    }
}
