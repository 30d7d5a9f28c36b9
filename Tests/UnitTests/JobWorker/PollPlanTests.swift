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
        _ plan: inout PollPlan, bringing count: Int, of limit: Int, after time: Duration = .zero,
        meanwhile: (inout PollPlan) -> Void = { _ in }
    ) {
        plan.lookBegins()
        meanwhile(&plan)
        plan.looked(for: request(limit: limit), claimed: (0..<count).map { _ in claimed() }, now: start + time)
    }

    private func request(queue: String = "default", limit: Int) -> ClaimRequest {
        ClaimRequest(
            workerID: "w", jobTypes: ["noop", "slow"], queues: [.init(name: queue, free: limit)], limit: limit,
            takesSuspect: true, staleAfter: .seconds(120))
    }

    private func claimed(type: String = "noop") -> ClaimedJob {
        let (id, time) = (UUID(), Timestamp(microseconds: 0))
        let job = Job(
            id: id, workspaceID: UUID(), type: type, payload: JSONText("{}"), createdAt: time, dueAt: time,
            startedAt: time)
        return ClaimedJob(job: job, claim: Claim(jobID: id, token: 1), isSuspect: false, refusal: nil)
    }

    private func action(_ plan: PollPlan, after time: Duration = .seconds(1), free: Int = 5) -> PollPlan.Action {
        plan.action(now: start + time, isAsked: false, free: free, isFull: free == 0)
    }

    @Test func `the timer looks at once, and then after each pause`() {
        #expect(action(PollPlan(now: start), after: .zero) == .poll)
        #expect(action(rested()) == .wait(until: start + .seconds(5)))
        #expect(action(rested(), after: .seconds(5)) == .poll)
        #expect(rested().action(now: start, isAsked: true, free: 0, isFull: true) == .poll)
    }

    @Test func `a wake-up brings a look, where a slot is free`() {
        var plan = rested()
        plan.wake(now: start)
        #expect(action(plan, after: .zero) == .claim)
        #expect(action(plan, free: 0) == .wait(until: start + .seconds(5)))
    }

    @Test func `what comes while a look is under way brings another one`() {
        var plan = rested()
        look(&plan, bringing: 0, of: 5) { $0.wake(now: start) }
        #expect(action(plan, after: .zero) == .claim)
    }

    @Test func `a look that failed is repeated`() {
        var plan = rested()
        plan.lookBegins()
        plan.lookFailed()
        #expect(action(plan, after: .zero) == .claim)
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

    // MARK: Waiting to be woken

    /// A plan whose worker waits, as the database knows, and has looked since.
    private func waiting() -> PollPlan {
        var plan = rested()
        plan.isListening = true
        plan.attended(true, now: start)
        plan.searched(now: start, took: .zero)
        look(&plan, bringing: 0, of: 5)
        return plan
    }

    @Test func `who has nothing to do lets itself be woken, and looks again before it waits`() {
        var plan = rested()
        plan.isListening = true
        #expect(action(plan) == .attend(true))
        plan.attended(true, now: start)
        // What came before it listened was told to nobody: it may be anywhere.
        #expect(action(plan, after: .zero) == .search)
        plan.searched(now: start, took: .zero)
        look(&plan, bringing: 0, of: 5)
        #expect(action(plan, after: .zero) == .wait(until: start + .milliseconds(5)))
    }

    @Test func `who can't be woken doesn't say that it waits`() {
        var plan = waiting()
        plan.isListening = false
        #expect(action(plan) == .attend(false))
        plan.attended(false, now: start)
        #expect([.search, .wait(until: start + .seconds(5))].contains(action(plan)))
    }

    @Test func `inserts that committed late are looked for after ever longer times`() {
        var plan = waiting()
        var looks: [Duration] = []
        for millisecond in 1..<5000 {
            let time = Duration.milliseconds(millisecond)
            guard action(plan, after: time) == .search else { continue }
            looks.append(time)
            look(&plan, bringing: 0, of: 5, after: time)
        }
        #expect(looks == [.milliseconds(5), .milliseconds(30), .milliseconds(155), .milliseconds(780)])
    }

    private func told(_ id: UUID = UUID(), queue: String = "default") -> DueAnnouncement {
        .job(id, queue: queue, priority: 0, due: Timestamp(microseconds: 0))
    }

    @Test func `a full worker turns wake-ups away, and looks when a slot becomes free`() {
        var plan = waiting()
        look(&plan, bringing: 5, of: 5)
        #expect(action(plan, after: .zero, free: 0) == .wait(until: start + .seconds(5)))
        let told = told()
        plan.wake(now: start, of: told)
        #expect(action(plan, after: .zero, free: 0) == .attend(false))
        plan.attended(false, now: start)
        #expect(plan.takeMissed() == [told])
        #expect(action(plan, after: .zero, free: 0) == .wait(until: start + .seconds(5)))
        look(&plan, bringing: 1, of: 5)
        let isWanted = plan.slotFreed()
        #expect(isWanted)
    }

    @Test func `slots that are kept for a claim on its way make nobody turn wake-ups away`() {
        var plan = waiting()
        plan.wake(now: start, of: told())
        let action = plan.action(now: start, isAsked: false, free: 0, isFull: false)
        #expect(action == .wait(until: start + .seconds(5)))
    }

    @Test func `what was told before a look that left room is for nobody else, what came later may be`() {
        var plan = waiting()
        let (early, late) = (told(), told())
        plan.wake(now: start, of: early)
        let began = plan.lookBegins()
        plan.wake(now: start, of: late)
        plan.looked(for: request(limit: 5), claimed: [claimed()], now: start, began: began)
        #expect(action(plan, after: .zero) == .claim)
        #expect(plan.takeMissed() == [late] && !plan.hasMissed)
    }

    @Test func `of what was told before a look that left no room, all but the claimed may be for others`() {
        var plan = waiting()
        let (one, other) = (claimed(), told())
        plan.wake(now: start, of: told(one.job.id))
        plan.wake(now: start, of: other)
        let began = plan.lookBegins()
        plan.looked(for: request(limit: 1), claimed: [one], now: start, began: began)
        #expect(plan.takeMissed() == [other])
    }

    @Test func `what others were told meanwhile isn't forgotten, and of many jobs of a lane a few stand for all`() {
        var plan = waiting()
        for number in 0..<100 { plan.wake(now: start, of: told(queue: number % 2 == 0 ? "default" : "q\(number)")) }
        plan.wake(now: start, of: .unknown)
        plan.attended(false, now: start)
        #expect(action(plan, after: .zero, free: 0) == .attend(false))
        let missed = plan.takeMissed()
        #expect(missed.count == 32 && !missed.contains(.unknown))
        #expect(missed.count { $0.place?.queue == "default" } == 8)
    }

    @Test func `who was told in vain looks once more, as others may have locked what they didn't take`() {
        var plan = waiting()
        // After all looks that follow the beginning of waiting.
        for milliseconds in [5, 30, 155, 780] { look(&plan, bringing: 0, of: 5, after: .milliseconds(milliseconds)) }
        let told = told()
        plan.wake(now: start, of: told)
        let began = plan.lookBegins()
        let unfound = plan.looked(for: request(limit: 5), claimed: [], now: start + .seconds(1), began: began)
        #expect(unfound == [told] && !plan.hasMissed)
        #expect(action(plan) == .wait(until: start + .milliseconds(1025)))
        look(&plan, bringing: 0, of: 5, after: .milliseconds(1025))
        #expect(action(plan, after: .milliseconds(1025)) == .wait(until: start + .seconds(5)))
    }

    @Test func `where as many of a type came as may run, the rest is looked at again without it`() {
        var plan = rested()
        plan.lookBegins()
        var request = request(limit: 5)
        request.typesLeft = ["slow": 1]
        plan.looked(for: request, claimed: [claimed()], now: start)
        #expect(action(plan) == .wait(until: start + .seconds(5)))
        plan.looked(for: request, claimed: [claimed(type: "slow")], now: start)
        #expect(action(plan, after: .zero) == .claim)
    }

    /// The queues behind '*' share one cap.
    @Test func `a freed slot brings a look where the cap of all other queues cut the last one short`() {
        var plan = rested()
        plan.lookBegins()
        var request = request(queue: "*", limit: 5)
        request.queues = [.init(name: "mail", free: 5), .init(name: "*", free: 2)]
        plan.looked(for: request, claimed: [claimed(), claimed()], now: start)
        let isWanted = plan.slotFreed()
        #expect(isWanted)
    }

    @Test func `a storm of wake-ups is turned away until nothing more is found`() {
        var plan = waiting()
        for _ in 0..<16 { plan.wake(now: start) }
        #expect(action(plan, after: .zero) == .attend(false))
        plan.attended(false, now: start)
        look(&plan, bringing: 3, of: 5)
        #expect(action(plan, after: .zero) == .wait(until: start + .milliseconds(4)))
        #expect(action(plan, after: .milliseconds(4)) == .search)
        look(&plan, bringing: 0, of: 5, after: .milliseconds(21))
        #expect(action(plan, after: .milliseconds(21)) == .attend(true))
    }

    @Test func `a few wake-ups are no storm`() {
        var plan = waiting()
        for number in 0..<40 { plan.wake(now: start + .milliseconds(5 * number)) }
        look(&plan, bringing: 1, of: 5, after: .milliseconds(3))
        #expect(action(plan, after: .milliseconds(3)) == .wait(until: start + .milliseconds(5)))
    }

    @Test func `who isn't woken looks for new queues and priorities from time to time, seldom where that takes long`() {
        var plan = rested()
        func next(_ plan: PollPlan, after time: Duration) -> PollPlan.Action {
            var plan = plan
            plan.wake(now: start)
            return action(plan, after: time)
        }
        #expect(next(plan, after: .milliseconds(99)) == .claim)
        #expect(next(plan, after: .milliseconds(100)) == .search)
        plan.searched(now: start, took: .milliseconds(50))
        #expect(next(plan, after: .milliseconds(999)) == .claim)
        #expect(next(plan, after: .milliseconds(1000)) == .search)
    }

    @Test func `what is due nobody knows where is looked for by the timer's look`() {
        var plan = waiting()
        plan.pollSoon(now: start + .milliseconds(30))
        #expect(action(plan, after: .milliseconds(99)) != .poll)
        #expect(action(plan, after: .milliseconds(100)) == .poll)
    }
}
