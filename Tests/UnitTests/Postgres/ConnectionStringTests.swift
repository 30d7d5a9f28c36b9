import Postgres
import Testing

struct ConnectionStringTests {
    private func string(_ given: String, role: String? = nil) throws -> String {
        try ConnectionSettings(connectionString: given, applicationName: "test")
            .connectionString(forDatabase: "other", role: role)
    }

    @Test
    func `another database takes the place of the one that is named`() throws {
        #expect(try string("postgresql://ann@/first?host=/run/pg") == "dbname='other' host='/run/pg' user='ann'")
    }

    @Test
    func `a role is acted as through an option of the session, beside the options that are there`() throws {
        #expect(try string("host=/run/pg", role: "worker") == "dbname='other' host='/run/pg' options='-c role=worker'")
        #expect(
            try string("options='-c jit=off'", role: "worker") == "dbname='other' options='-c jit=off -c role=worker'")
    }

    @Test
    func `quotes and backslashes of a value survive`() throws {
        #expect(try string(#"password='it\'s \\ so'"#) == #"dbname='other' password='it\'s \\ so'"#)
    }

    @Test
    func `what can't be read is not quoted in the error`() {
        let error = #expect(throws: PostgresError.self) { try string("host=/run/pg password=word nonsense") }
        #expect(error?.message.contains("word") == false)
    }
}
