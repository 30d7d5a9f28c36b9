import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct HeartbeatTests {
    let database = TestDatabase.current

    @Test func `a beat tells what is held, what was cancelled and what is lost`() async throws {
        let held = try await database.claim(
            of: try await database.insertJob(status: .processing, heartbeatAge: .seconds(100)))
        let cancelled = try await database.claim(of: try await database.insertJob(status: .cancelled, isLeased: true))
        // Cancelled, then retried, while its run goes on.
        let retried = try await database.claim(of: try await database.insertJob(status: .pending, isLeased: true))
        let takenBack = try await database.claim(of: try await database.insertJob(status: .processing))
        try await database.query(
            "UPDATE public.jobs SET status = 'pending', lease_open = false WHERE id = \(takenBack.jobID)")
        let reclaimed = try await database.claim(of: try await database.insertJob(status: .processing))
        try await database.query(
            "UPDATE public.jobs SET lease_token = nextval('jobworker.lease_tokens') WHERE id = \(reclaimed.jobID)")
        let deleted = Claim(jobID: UUID(), token: 1)

        let answer = try await database.store().heartbeat([held, cancelled, retried, takenBack, reclaimed, deleted])
        #expect(answer.held == [held])
        #expect(answer.cancelled == [cancelled, retried])
        #expect(answer.lost == [takenBack, reclaimed, deleted])
        #expect(
            try await database.count("worker_heartbeat_at > now() - interval '50 s' AND id = '\(held.jobID.text)'") == 1
        )
    }

    @Test func `a beat for nothing asks nothing wrong`() async throws {
        let answer = try await database.store().heartbeat([])
        #expect(answer.held.isEmpty && answer.cancelled.isEmpty && answer.lost.isEmpty)
    }
}
