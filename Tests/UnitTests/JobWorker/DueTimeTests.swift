import FoundationEssentials
import Postgres
import Testing

@testable import JobWorker

/// When a plan looks for jobs that become due.
@Suite struct DueTimeTests {
    private let start = ContinuousClock.now

    private func at(_ milliseconds: Int) -> ContinuousClock.Instant { start + .milliseconds(milliseconds) }

    /// A plan that looks by itself after a minute, and knows when the next job is due.
    private func plan(due: Int?) -> PollPlan {
        var plan = PollPlan(now: start)
        plan.asksForDue(now: start)
        look(&plan, at: 0)
        plan.polled(isReapingDone: true, now: start, pause: .seconds(60))
        plan.knows(due: due.map(at))
        return plan
    }

    private func look(_ plan: inout PollPlan, bringing count: Int = 0, at time: Int) {
        plan.lookBegins()
        let request = ClaimRequest(
            workerID: "w", jobTypes: ["noop"], queues: [.init(name: "default", free: 5)], limit: 5,
            takesSuspect: true, staleAfter: .seconds(120))
        let (id, moment) = (UUID(), Timestamp(microseconds: 0))
        let job = ClaimedJob(
            job: Job(
                id: id, workspaceID: id, type: "noop", payload: JSONText("{}"), createdAt: moment, dueAt: moment,
                startedAt: moment),
            claim: Claim(jobID: id, token: 1), isSuspect: false, refusal: nil)
        plan.looked(for: request, claimed: Array(repeating: job, count: count), now: at(time))
    }

    /// The look for a job that is due: search and claim.
    private func search(_ plan: inout PollPlan, at time: Int, next: Int?, bringing count: Int) {
        plan.asksForDue(now: at(time))
        plan.searched(now: at(time), took: .zero)
        plan.knows(due: next.map(at))
        #expect(plan.mustLook)
        look(&plan, bringing: count, at: time)
    }

    private func action(_ plan: PollPlan, at time: Int, free: Int = 5) -> PollPlan.Action {
        plan.action(now: at(time), isAsked: false, free: free, isFull: free == 0)
    }

    @Test func `a plan waits for the next job to become due, and then looks where it may be`() {
        var plan = plan(due: 1500)
        #expect(action(plan, at: 1) == .wait(until: at(1500)))
        #expect(action(plan, at: 1500) == .search)
        search(&plan, at: 1500, next: 2500, bringing: 1)
        #expect(action(plan, at: 1501) == .wait(until: at(2500)))
        search(&plan, at: 2500, next: nil, bringing: 1)
        #expect(action(plan, at: 2501) == .wait(until: at(60_000)))
    }

    @Test func `without a free slot it waits for one instead`() {
        #expect(action(plan(due: 1500), at: 1600, free: 0) == .wait(until: at(60_000)))
        #expect(action(plan(due: 1500), at: 1600, free: 1) == .search)
    }

    @Test func `a job that is told of is looked for at its time, if that comes first`() {
        var plan = plan(due: 1500)
        plan.hear(due: at(2000))
        #expect(action(plan, at: 1) == .wait(until: at(1500)))
        plan.hear(due: at(700))
        #expect(action(plan, at: 1) == .wait(until: at(700)))
    }

    @Test func `a job that is told of while a look is under way isn't lost by its answer`() {
        var plan = plan(due: nil)
        plan.asksForDue(now: at(10))
        plan.hear(due: at(300))
        plan.knows(due: at(5000))
        #expect(action(plan, at: 20) == .wait(until: at(300)))
        // The next look has seen it.
        plan.asksForDue(now: at(30))
        plan.knows(due: at(5000))
        #expect(action(plan, at: 40) == .wait(until: at(5000)))
    }

    @Test func `the claim for a job that is due is made up for if it can't begin at once`() {
        var plan = plan(due: 100)
        plan.asksForDue(now: at(100))
        plan.searched(now: at(100), took: .zero)
        plan.knows(due: nil)
        #expect(action(plan, at: 101) == .claim)
    }

    @Test func `jobs that become due one right after another are looked for together`() {
        var plan = plan(due: 100)
        search(&plan, at: 100, next: 101, bringing: 1)
        #expect(action(plan, at: 102) == .wait(until: at(125)))
    }

    @Test func `who always comes too late looks more seldom, until it finds one`() {
        var plan = plan(due: 0)
        var time = 0
        for pause in [50, 100, 200, 400, 800, 800] {
            search(&plan, at: time, next: time + 1, bringing: 0)
            #expect(action(plan, at: time + 2) == .wait(until: at(time + pause)))
            time += pause
        }
        search(&plan, at: time, next: time + 1, bringing: 1)
        #expect(action(plan, at: time + 2) == .wait(until: at(time + 25)))
    }

    @Test func `an announcement tells of a time to come`() {
        let noon = Timestamp(microseconds: 1_700_000_000_000_000)
        #expect(
            DueAnnouncement(payload: "at -2 1700000000000000 my queue")
                == .later(queue: "my queue", priority: -2, due: noon))
        for payload in [
            "at", "at ", "at x 1 default", "at 1 default", "0 -9223372036854775807 q", "at 0 253402300800000000 q",
        ] {
            #expect(DueAnnouncement(payload: payload) == .unknown)
        }
    }

    @Test func `a time of the database's is turned into one of this process, however far it is`() {
        var lanes = DueLanes()
        let noon = Timestamp(microseconds: 1_700_000_000_000_000)
        #expect(lanes.moment(of: noon) == nil)
        lanes.discovered([], at: noon, askedAt: start, now: start + .seconds(1))
        #expect(lanes.moment(of: noon.advanced(by: .seconds(3))) == start + .seconds(3))
        for time in [Timestamp.distantPast, .distantFuture] { #expect(lanes.moment(of: time) != start) }
    }
}
