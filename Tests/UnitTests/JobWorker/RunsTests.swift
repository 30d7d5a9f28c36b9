import FoundationEssentials
import Postgres
import Testing

@testable import JobWorker

@Suite struct RunsTests {
    private let start = ContinuousClock.now
    private let lease = Duration.seconds(120)
    private let grace = Duration.seconds(10)
    private let claim = Claim(jobID: UUID(), token: 1)

    /// One run, claimed by a statement sent at the start and answered `later`.
    private func runs(answeredAfter later: Duration = .zero, timeout: Duration = .seconds(900)) -> Runs {
        var runs = Runs(limit: 5)
        let time = Timestamp(microseconds: 0)
        let job = Job(
            id: claim.jobID, workspaceID: UUID(), type: "noop", payload: JSONText("{}"), createdAt: time, dueAt: time,
            startedAt: time)
        runs.admit(
            [ClaimedJob(job: job, claim: claim, isSuspect: false, refusal: nil)],
            timeouts: Timeouts(usual: timeout, ofTypes: [:]), staleAfter: lease,
            askedAt: start, now: start + later)
        return runs
    }

    private func overdue(_ runs: Runs, after time: Duration) -> Runs.Overdue {
        runs.overdue(now: start + time, staleAfter: lease, grace: grace)
    }

    @Test func `a type with a limit leaves all slots to the others, and a full one is left out`() {
        var types = ServedTypes(names: ["noop", "report"])
        types.limits = ["noop": 2, "report": 9]
        let runs = runs()
        func request(leaving: [Claim] = []) -> ClaimRequest {
            runs.request(WorkerConfiguration(workerID: "w"), types: types, lanes: nil, leaving: leaving)
        }
        #expect(request().limit == 4)
        #expect(request().typesLeft == ["noop": 1] && request().jobTypes == ["noop", "report"])
        #expect(request(leaving: [claim]).typesLeft == ["noop": 2])
        types.limits = ["noop": 1]
        #expect(request().typesLeft.isEmpty && request().jobTypes == ["report"])
        #expect(request(leaving: [claim]).typesLeft == ["noop": 1])
    }

    @Test func `an unconfirmed run is stopped when a quarter of its lease is left`() {
        #expect(overdue(runs(), after: .seconds(89.9)).unconfirmed.isEmpty)
        #expect(overdue(runs(), after: .seconds(90)).unconfirmed == [claim])
        #expect(overdue(runs(), after: .zero).next == start + .seconds(90))
    }

    @Test func `the lease counts from the question, however late the answer comes`() {
        var runs = runs()
        #expect(
            runs.hear(HeartbeatAnswer(held: [claim]), askedAt: start + .seconds(15), now: start + .seconds(80)).isEmpty)
        #expect(overdue(runs, after: .seconds(104.9)).unconfirmed.isEmpty)
        #expect(overdue(runs, after: .seconds(105)).unconfirmed == [claim])
    }

    @Test func `a claim whose answer came when another may have the job is stopped from the start`() {
        #expect(runs(answeredAfter: .seconds(89.9))[claim]?.stopReason == nil)
        #expect(runs(answeredAfter: .seconds(90))[claim]?.stopReason == .unconfirmed)
    }

    @Test func `a run has its time from the answer, and then its grace`() {
        var runs = runs(answeredAfter: .seconds(5), timeout: .seconds(20))
        #expect(overdue(runs, after: .seconds(24.9)).timedOut.isEmpty)
        #expect(overdue(runs, after: .seconds(25)).timedOut == [claim])
        #expect(runs.stop([claim], because: .timedOut, now: start + .seconds(25)) == [claim])
        #expect(overdue(runs, after: .seconds(34.9)).deaf.isEmpty)
        #expect(overdue(runs, after: .seconds(35)).deaf == [claim])
    }

    @Test func `the first reason to stop stays, but a lost claim is lost`() {
        var runs = runs()
        #expect(runs.stop([claim], because: .draining, now: start) == [claim])
        #expect(runs.stop([claim], because: .timedOut, now: start).isEmpty)
        #expect(runs[claim]?.stopReason == .draining)
        #expect(runs.hear(HeartbeatAnswer(lost: [claim]), askedAt: start, now: start) == [claim])
        #expect(runs[claim]?.stopReason == .lost)
    }

    @Test func `nothing stops a run whose outcome is being stored`() {
        var runs = runs()
        #expect(runs.settle(claim) == nil)
        #expect(runs.stop([claim], because: .lost, now: start).isEmpty)
        #expect(runs[claim]?.stopReason == nil)
    }

    @Test func `a run that is stored without ever having begun has no processor that could be deaf`() {
        var runs = runs(answeredAfter: .seconds(95))
        #expect(overdue(runs, after: .seconds(105)).deaf == [claim])
        #expect(runs.settle(claim) == .unconfirmed)
        #expect(overdue(runs, after: .seconds(105)).deaf.isEmpty)
    }

    @Test func `only the first word of a run's end counts`() {
        var runs = runs()
        let (first, second) = (runs.end(claim, .returned(nil)), runs.end(claim, .abandoned))
        #expect(first && !second)
        #expect(overdue(runs, after: .seconds(1000)).unconfirmed.isEmpty)
        runs.remove(claim)
        #expect(runs.isEmpty && runs.free == 5)
    }
}
