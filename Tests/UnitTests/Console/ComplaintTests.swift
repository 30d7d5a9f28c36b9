import Console
import Enrichment
import FoundationEssentials
import JobWorker
import Postgres
import Testing

struct ComplaintTests {
    private static func postgres(_ reason: PostgresError.Reason, refusal: String? = nil) -> PostgresError {
        PostgresError(reason, operation: "jobworker:x", message: "m", connectionRefusal: refusal)
    }

    @Test(arguments: [
        (postgres(.unreachable), Console::ExitStatus.unreachable), (postgres(.unreachable, refusal: "28P01"), .refused),
        (postgres(.unreachable, refusal: "3D000"), .unreachable), (postgres(.connectionLost), .unreachable),
        (postgres(.cancelled), .interrupted), (postgres(.rejected(sqlState: "42501")), .refused),
        (postgres(.rejected(sqlState: "28000")), .refused), (postgres(.rejected(sqlState: "57P01")), .unreachable),
        (postgres(.rejected(sqlState: "53300")), .unreachable), (postgres(.rejected(sqlState: "42P01")), .failed),
        (postgres(.malformed), .failed),
    ])
    func `each failure of the database has its exit status`(error: PostgresError, status: Console::ExitStatus) {
        #expect(Complaint(error).status == status)
    }

    @Test func `other failures have theirs`() {
        #expect(Complaint(JobChangeRefusal.notFound(UUID())).status == .notFound)
        #expect(Complaint(JobChangeRefusal.conflict("x")).status == .failed)
        #expect(Complaint(KeyVaultError.noKeys).status == .badConfiguration)
        #expect(Complaint(KeyVaultError.unreadable).status == .failed)
        #expect(Complaint(CancellationError()).status == .interrupted)
        #expect(mistakes(["WORKER_MAX_CONCURRENT": "0"]).count == 1)
        #expect(throws: Complaint.self) {
            do { _ = try loadSettings(["WORKER_MAX_CONCURRENT": "0"]) } catch {
                #expect(Complaint(error).status == .badConfiguration)
                #expect(Complaint(error).message.contains("WORKER_MAX_CONCURRENT = '0'"))
                throw Complaint(error)
            }
        }
    }

    @Test func `a complaint names the program once`() {
        #expect(Complaint(.failed, "no").description == "jobworker: no")
        #expect(
            Complaint(.failed, "jobworker:jobs.list: no", advice: "Do.").description == "jobworker:jobs.list: no\nDo.")
    }
}
