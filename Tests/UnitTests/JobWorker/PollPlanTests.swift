import FoundationEssentials
import Postgres
import Testing

@testable import JobWorker

@Suite struct PollPlanTests {
    private let start = ContinuousClock.now

    /// A plan that has had its first look, which brought nothing.
    private func rested() -> PollPlan {
        var plan = PollPlan(now: start)
        look(&plan, bringing: 0, of: 5)
        plan.polled(isReapingDone: true, now: start, pause: .seconds(5))
        return plan
    }

    private func look(
        _ plan: inout PollPlan, bringing count: Int, of limit: Int, meanwhile: (inout PollPlan) -> Void = { _ in }
    ) {
        plan.lookBegins()
        meanwhile(&plan)
        let request = ClaimRequest(
            workerID: "w", jobTypes: ["noop"], queues: [.init(name: "default", free: limit)], limit: limit,
            takesSuspect: true, staleAfter: .seconds(120))
        plan.looked(for: request, claimed: (0..<count).map { _ in claimed() })
    }

    private func claimed() -> ClaimedJob {
        let (id, time) = (UUID(), Timestamp(microseconds: 0))
        let job = Job(
            id: id, workspaceID: UUID(), type: "noop", payload: JSONText("{}"), createdAt: time, dueAt: time,
            startedAt: time)
        return ClaimedJob(job: job, claim: Claim(jobID: id, token: 1), isSuspect: false, refusal: nil)
    }

    private func action(_ plan: PollPlan, after time: Duration = .seconds(1), free: Int = 5) -> PollPlan.Action {
        plan.action(now: start + time, isAsked: false, free: free)
    }

    @Test func `the timer looks at once, and then after each pause`() {
        #expect(action(PollPlan(now: start), after: .zero) == .poll)
        #expect(action(rested()) == .wait(until: start + .seconds(5)))
        #expect(action(rested(), after: .seconds(5)) == .poll)
        #expect(rested().action(now: start, isAsked: true, free: 0) == .poll)
    }

    @Test func `a wake-up brings a look, where a slot is free`() {
        var plan = rested()
        plan.wake()
        #expect(action(plan) == .claim)
        #expect(action(plan, free: 0) == .wait(until: start + .seconds(5)))
    }

    @Test func `what comes while a look is under way brings another one`() {
        var plan = rested()
        look(&plan, bringing: 0, of: 5) { $0.wake() }
        #expect(action(plan) == .claim)
    }

    @Test func `a look that failed is repeated`() {
        var plan = rested()
        plan.lookBegins()
        plan.lookFailed()
        #expect(action(plan) == .claim)
    }

    @Test func `a freed slot brings a look only where the last one may have left something behind`() {
        var plan = rested()
        var isWanted = plan.slotFreed()
        #expect(!isWanted)
        look(&plan, bringing: 3, of: 3)
        isWanted = plan.slotFreed()
        #expect(isWanted)
        look(&plan, bringing: 1, of: 3)
        isWanted = plan.slotFreed()
        #expect(!isWanted && action(plan) == .wait(until: start + .seconds(5)))
    }

    @Test func `there is no pause while stale jobs are left`() {
        var plan = rested()
        plan.polled(isReapingDone: false, now: start + .seconds(1), pause: .seconds(5))
        #expect(action(plan) == .poll)
    }
}
