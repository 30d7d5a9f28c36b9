import Testing

@testable import Postgres

struct ConnectionReportTests {
    @Test func `a refused connection tells its SQLSTATE and not the server's source`() {
        let report = ConnectionReport(
            """
            connection to server at "127.0.0.1", port 5432 failed: FATAL:  28P01: password authentication failed for user "x"
            LOCATION:  auth_failed, auth.c:326
            """)
        #expect(report.sqlState == "28P01")
        #expect(
            report.message
                == #"connection to server at "127.0.0.1", port 5432 failed: FATAL: password authentication failed for user "x""#
        )
    }

    @Test func `of several servers the last one's refusal counts, in any language`() {
        let report = ConnectionReport(
            """
            connection to server at "a" failed: FATAL:  28000: no pg_hba.conf entry
            connection to server at "b" failed: SCHWERWIEGEND:  3D000: Datenbank »x« existiert nicht
            ORT:  InitPostgres, postinit.c:941
            """)
        #expect(report.sqlState == "3D000")
        #expect(report.message.split(separator: "\n").count == 2)
    }

    @Test func `a server that isn't there has no SQLSTATE`() {
        let text = "connection to server at \"127.0.0.1\", port 1 failed: Connection refused\n\tIs the server running?"
        #expect(ConnectionReport(text).sqlState == nil)
        #expect(ConnectionReport(text).message == text)
    }
}
