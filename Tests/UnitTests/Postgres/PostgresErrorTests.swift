import Postgres
import Testing

@Suite struct PostgresErrorTests {
    private func rejected(_ state: String) -> PostgresError {
        PostgresError(
            .rejected(sqlState: state), operation: "jobworker:claim", message: "no",
            detail: "Key (email)=(kim@example.com)")
    }

    @Test(arguments: [
        "08006", "40001", "40P01", "53100", "53300", "55P03", "57014", "57P01", "57P03", "25006", "25P03",
    ])
    func `what may pass by itself is transient`(state: String) {
        #expect(rejected(state).isTransient)
    }

    @Test(arguments: [
        "22P02", "22021", "23505", "23514", "42P01", "42501", "42601", "54000", "P0002", "JW409", "0A000",
    ])
    func `a mistake stays one however often it is repeated`(state: String) {
        #expect(!rejected(state).isTransient && !rejected(state).endsConnection)
    }

    @Test func `a broken connection is transient and ends, a cancelled call does neither`() {
        for reason in [PostgresError.Reason.unreachable, .connectionLost] {
            let error = PostgresError(reason, operation: "x", message: "gone")
            #expect(error.isTransient && error.endsConnection && error.sqlState == nil)
        }
        for reason in [PostgresError.Reason.cancelled, .malformed] {
            let error = PostgresError(reason, operation: "x", message: "no")
            #expect(!error.isTransient && !error.endsConnection)
        }
        // A standby: the primary is elsewhere, so the connection is of no use.
        #expect(rejected("25006").endsConnection)
        #expect(!rejected("40001").endsConnection && !rejected("55P03").endsConnection)
    }

    @Test func `a description names the statement and the next step, never values of a row`() {
        #expect(rejected("42P01").description.contains("jobworker migrate"))
        #expect(rejected("42501").description.contains("lacks a right"))
        #expect(rejected("23505").description == "jobworker:claim: no (SQLSTATE 23505)")
        for state in ["42P01", "42501", "23505"] { #expect(!rejected(state).description.contains("kim@example.com")) }
    }
}
