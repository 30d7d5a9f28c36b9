import Enrichment
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Tables that lack what enrichment needs: found before the first job, so that no call is paid for in vain.
@Suite(.database()) struct MissingColumnTests {
    let database = TestDatabase.current

    private func expectUnserved(_ kind: Kind, naming column: String) async throws {
        let scene = try await EnrichmentScene()
        let pool = database.workerPool
        let service = scene.service()
        let kept = try await scene.insert(kind, at: "kept.example.com")
        let keptJob = try await scene.enqueue(kind, kept)
        let otherKind: Kind = kind == .account ? .contact : .account
        let other = try await scene.insert(otherKind, at: "served.example.com")
        let otherJob = try await scene.enqueue(otherKind, other)
        try await database.withWorker(
            EnrichAccount(service: service), EnrichContact(service: service),
            change: { $0.pollInterval = .milliseconds(50) },
            check: {
                let missing = try await ColumnCheck(pool: pool).missing()
                return missing.reduce(into: [:]) { $0[$1.key] = ColumnCheck.sentence([$1.key: $1.value]) }
            }
        ) { worker in
            try await scene.waitUntilSettled([otherJob])
            _ = await worker.pollNow(waitingAtMost: .seconds(5))
            #expect(
                worker.state.snapshot.unservedTypes == [
                    kind.jobType: """
                    \(kind.jobType) not served: the database lacks, or hides from this role, \(column). Run \
                    'jobworker migrate', or add them.
                    """
                ])
        }
        #expect(try await database.job(otherJob).status == "completed")
        #expect(try await database.job(keptJob).status == "pending")
        #expect(try await database.job(keptJob).attempts == 0)
        #expect(try await scene.requests() == 1)
    }

    @Test(arguments: [(Kind.account, "headquarters_city"), (.contact, "github_username")])
    func `a dropped column stops its own job type alone, and is named`(kind: Kind, column: String) async throws {
        try await database.run("ALTER TABLE \(kind.table) DROP COLUMN \(column)")
        try await expectUnserved(kind, naming: "\(kind.table).\(column)")
    }

    @Test func `with all columns nothing is missing`() async throws {
        #expect(try await ColumnCheck(pool: database.workerPool).missing().isEmpty)
    }

    @Test func `columns hidden from the worker's role are missing too`() async throws {
        try await database.run("REVOKE ALL ON public.contacts FROM jobworker")
        let missing = try await ColumnCheck(pool: database.workerPool).missing()
        #expect(missing.keys.sorted() == ["enrich_contact"])
        #expect(missing["enrich_contact"]?.contains("public.contacts.email") == true)
    }
}
