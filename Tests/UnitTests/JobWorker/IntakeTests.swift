import FoundationEssentials
import Postgres
import Support
import Testing

@testable import JobWorker

/// What becomes of a job that is announced by itself, beside all else that may be going on.
@Suite struct IntakeTests {
    private let clock = SteeredClock()
    private let time = Timestamp(microseconds: 1_800_000_000_000_000)

    /// One that has looked everywhere, found nothing, and waits to be told.
    private func idle(
        slots: Int = 5, limits: [String: Int] = [:], running: RunningJobs? = nil, ruledQueues: Set<String> = [],
        wakeup: Wakeup = Wakeup()
    ) -> Intake {
        let intake = intake(slots: slots, limits: limits, running: running, wakeup: wakeup)
        poll(intake, ruledQueues: ruledQueues)
        intake.setListening(true)
        settle(intake, ruledQueues: ruledQueues)
        intake.attended(true)
        settle(intake, ruledQueues: ruledQueues)
        return intake
    }

    private func intake(
        slots: Int, limits: [String: Int] = [:], running: RunningJobs? = nil, wakeup: Wakeup
    ) -> Intake {
        let configuration = WorkerConfiguration(workerID: "w")
        var types = ServedTypes(names: ["noop"] + limits.keys)
        types.limits = limits
        return Intake(
            running: running ?? RunningJobs(limit: slots), wakeup: wakeup, beat: Wakeup(),
            now: { [clock] in clock.now },
            configuration: { configuration }, types: { [types] in types })
    }

    /// The timer's look, which finds nothing.
    private func poll(_ intake: Intake, ruledQueues: Set<String> = []) {
        guard let claiming = intake.begin(everywhere: true) else {
            Issue.record("the timer's look may always begin")
            return
        }
        end(claiming, intake, ruledQueues: ruledQueues)
    }

    private func end(_ claiming: Intake.Claiming, _ intake: Intake, ruledQueues: Set<String> = []) {
        intake.polled(isReapingDone: true, pause: .seconds(5), nextDue: nil)
        intake.end(claiming, claimed: [], everything: LaneSurvey(ruledQueues: ruledQueues, now: time))
    }

    /// Searches and claims, in vain, until there is nothing more to do at once.
    private func settle(_ intake: Intake, ruledQueues: Set<String> = []) {
        for _ in 0..<10 {
            switch intake.action(isAsked: false) {
            case .search:
                intake.searchBegins()
                intake.searched(LaneSurvey(ruledQueues: ruledQueues, now: time), took: .zero)
            case .claim: break
            case .poll, .attend, .wait: return
            }
            if let claiming = intake.begin(everywhere: false) { intake.end(claiming, claimed: []) }
        }
        Issue.record("it never comes to rest")
    }

    /// The looks that follow the beginning of waiting.
    private func passFirstLooks(_ intake: Intake) {
        for milliseconds in [5, 25, 125, 625] {
            clock.pass(.milliseconds(milliseconds))
            settle(intake)
        }
    }

    private func announced(_ id: UUID = UUID()) -> DueAnnouncement {
        .job(id, queue: "default", priority: 0, due: time)
    }

    private func claimed(_ id: UUID, _ type: String = "noop") -> ClaimedJob {
        let job = Job(
            id: id, workspaceID: UUID(), type: type, payload: JSONText("{}"), createdAt: time, dueAt: time,
            startedAt: time)
        return ClaimedJob(job: job, claim: Claim(jobID: id, token: 1), isSuspect: false, refusal: nil)
    }

    /// Hears of a job by itself, and claims it.
    private func claimOne(_ intake: Intake) throws {
        let id = UUID()
        #expect(intake.hear(announced(id)))
        let claiming = try #require(intake.begin(everywhere: false))
        intake.end(claiming, claimed: [claimed(id)])
    }

    @Test func `a job by itself is claimed by who hears of it, by its id`() throws {
        let (intake, id) = (idle(), UUID())
        #expect(intake.hear(announced(id)))
        let claiming = try #require(intake.begin(everywhere: false))
        #expect(claiming.request.only == id)
        #expect(claiming.request.limit == 1)
        intake.end(claiming, claimed: [claimed(id)])
        guard case .wait = intake.action(isAsked: false) else {
            Issue.record("there is nothing more to look for")
            return
        }
    }

    @Test func `jobs that come within two milliseconds of such a claim are left to the poller`() throws {
        let (intake, id) = (idle(), UUID())
        try claimOne(intake)
        clock.pass(.milliseconds(2))
        #expect(!intake.hear(announced(id)))
        #expect(intake.action(isAsked: false) == .claim)
        // Nothing else came meanwhile: so it claims this one by its id, too.
        let claiming = try #require(intake.begin(everywhere: false))
        #expect(claiming.request.only == id)
        intake.end(claiming, claimed: [claimed(id)])
        clock.pass(.milliseconds(2) + .microseconds(1))
        try claimOne(intake)
    }

    @Test func `a job that is announced while a claim is under way is left to the poller`() throws {
        let intake = idle()
        #expect(intake.hear(announced()))
        let first = try #require(intake.begin(everywhere: false))
        clock.pass(.seconds(1))
        #expect(!intake.hear(announced()))
        intake.end(first, claimed: [claimed(UUID())])
        #expect(intake.action(isAsked: false) == .claim)
        let second = try #require(intake.begin(everywhere: false))
        #expect(second.request.only == nil)
        #expect(second.request.lanes?.map(\.queue) == ["default"])
    }

    @Test func `of two jobs before a claim neither is claimed by its id`() throws {
        let intake = idle()
        #expect(intake.hear(announced()))
        #expect(!intake.hear(announced()))
        let claiming = try #require(intake.begin(everywhere: false))
        #expect(claiming.request.only == nil)
        #expect(claiming.request.limit == 5)
        #expect(claiming.request.lanes?.count == 1)
    }

    @Test func `where somebody else has the job its lane is looked at`() throws {
        let intake = idle()
        #expect(intake.hear(announced()))
        let claiming = try #require(intake.begin(everywhere: false))
        intake.end(claiming, claimed: [])
        #expect(intake.action(isAsked: false) == .claim)
        let next = try #require(intake.begin(everywhere: false))
        #expect(next.request.only == nil)
        #expect(next.request.lanes?.map(\.from) == [ClaimRequest.Place(due: time)])
    }

    @Test func `where the claim fails the job's lane is looked at`() throws {
        let intake = idle()
        #expect(intake.hear(announced()))
        intake.fail(try #require(intake.begin(everywhere: false)))
        #expect(intake.action(isAsked: false) == .claim)
        let next = try #require(intake.begin(everywhere: false))
        #expect(next.request.only == nil)
        #expect(next.request.lanes?.map(\.from) == [ClaimRequest.Place(due: time)])
        #expect(next.request.limit == 5)
    }

    @Test(arguments: ["default", "*"])
    func `a job of a queue with rules is left to the poller, which claims by the rules`(queue: String) throws {
        let intake = idle(ruledQueues: [queue])
        #expect(!intake.hear(announced()))
        #expect(intake.action(isAsked: false) == .claim)
        let claiming = try #require(intake.begin(everywhere: false))
        #expect(claiming.isCareful)
        #expect(claiming.request.only == nil)
    }

    @Test func `rules of a queue that isn't served here change nothing`() throws {
        let (intake, id) = (idle(ruledQueues: ["other"]), UUID())
        #expect(intake.hear(announced(id)))
        #expect(try #require(intake.begin(everywhere: false)).request.only == id)
    }

    @Test func `a job that is announced to somebody without a free slot is left to the poller`() throws {
        let intake = idle(slots: 1)
        try claimOne(intake)
        clock.pass(.seconds(1))
        #expect(!intake.hear(announced()))
    }

    @Test func `what a worker was told beyond its slots is for others, also what comes while it turns wake-ups away`()
        throws
    {
        let intake = idle(slots: 1)
        try claimOne(intake)
        #expect(!intake.hasMissed)
        let (told, later) = (announced(), announced())
        intake.hear(told)
        #expect(intake.action(isAsked: false) == .attend(false))
        intake.hear(later)
        intake.attended(false)
        let missed = intake.takeMissed()
        #expect(missed == [told, later])
        // The database didn't answer.
        intake.putBack(missed)
        #expect(intake.action(isAsked: false) == .attend(false))
        #expect(intake.takeMissed() == missed)
        guard case .wait = intake.action(isAsked: false) else {
            Issue.record("all has been told")
            return
        }
    }

    @Test func `a worker with one slot keeps it for the job that it claims by its id, and passes on none`() throws {
        let intake = idle(slots: 1)
        let id = UUID()
        #expect(intake.hear(announced(id)))
        let claiming = try #require(intake.begin(everywhere: false))
        #expect(!intake.hasMissed && intake.action(isAsked: false) != .attend(false))
        intake.end(claiming, claimed: [claimed(id)])
        #expect(!intake.hasMissed)
    }

    @Test func `of two jobs the one that there was no slot for is passed on`() throws {
        let intake = idle(slots: 1)
        let (first, second) = (UUID(), UUID())
        intake.hear(announced(first))
        intake.hear(announced(second))
        let claiming = try #require(intake.begin(everywhere: false))
        intake.end(claiming, claimed: [claimed(second)])
        #expect(intake.takeMissed() == [announced(first)])
    }

    @Test func `jobs of a full type are looked for, from where they begin, once one of them has ended and not before`()
        throws
    {
        let running = RunningJobs(limit: 5)
        let intake = idle(limits: ["slow": 1], running: running)
        intake.hear(.lane(queue: "default", priority: 0, due: time))
        let first = try #require(intake.begin(everywhere: false))
        #expect(first.request.typesLeft == ["slow": 1])
        let (slow, noop) = (claimed(UUID(), "slow"), claimed(UUID()))
        intake.end(first, claimed: [slow, noop])
        for _ in 0..<2 {
            clock.pass(.seconds(2))
            intake.hear(.lane(queue: "default", priority: 0, due: time.advanced(by: .seconds(2))))
            let without = try #require(intake.begin(everywhere: false))
            #expect(without.request.jobTypes == ["noop"] && without.request.fullTypes == ["slow"])
            intake.end(without, claimed: [])
        }
        settle(intake)
        running.remove([noop.claim])
        intake.slotsFreed()
        guard case .wait = intake.action(isAsked: false) else {
            Issue.record("there is no room for another one yet")
            return
        }
        running.remove([slow.claim])
        intake.slotsFreed()
        #expect(intake.action(isAsked: false) == .claim)
        let next = try #require(intake.begin(everywhere: false))
        #expect(next.request.fullTypes.isEmpty)
        #expect(next.request.lanes?.map(\.from?.due) == [time])
    }

    @Test(arguments: [true, false])
    func `a job that is announced while the worker stops is for others`(isAnnouncedBefore: Bool) {
        let (intake, told) = (idle(), announced())
        if isAnnouncedBefore { intake.hear(told) }
        intake.stop()
        if !isAnnouncedBefore { #expect(!intake.hear(told)) }
        #expect(intake.takeMissed() == [told])
    }

    @Test func `what a claim that failed was about is for others, should there be no slot`() throws {
        let (intake, told) = (idle(), announced())
        intake.hear(told)
        intake.fail(try #require(intake.begin(everywhere: false)))
        #expect(intake.takeMissed() == [told])
    }

    @Test func `what is told of jobs anywhere while a poll is under way brings another poll`() throws {
        let intake = idle()
        let poll = try #require(intake.begin(everywhere: true))
        intake.hear(.unknown)
        end(poll, intake)
        settle(intake)
        clock.pass(.milliseconds(100))
        #expect(intake.action(isAsked: false) == .poll)
        self.poll(intake)
        settle(intake)
        clock.pass(.milliseconds(100))
        #expect(intake.action(isAsked: false) != .poll)
    }

    /// The slot was kept for a claim that then brought nothing: what the poll didn't look at still has to be.
    @Test func `a poll for which another claim left no slot is followed by a look`() throws {
        let intake = idle(slots: 1)
        #expect(intake.hear(announced()))
        let one = try #require(intake.begin(everywhere: false))
        let poll = try #require(intake.begin(everywhere: true))
        #expect(poll.request.limit == 0)
        intake.end(one, claimed: [])
        settle(intake)
        end(poll, intake)
        #expect(intake.action(isAsked: false) == .claim)
    }

    @Test func `while another claim holds all slots a poll that is answered first forgets nothing`() throws {
        let running = RunningJobs(limit: 1)
        let (intake, first) = (idle(slots: 1, running: running), claimed(UUID()))
        #expect(intake.hear(announced(first.job.id)))
        intake.end(try #require(intake.begin(everywhere: false)), claimed: [first])
        intake.hear(.unknown)
        let exchange = try #require(intake.begin(leaving: [first.claim]))
        #expect(exchange.request.limit == 1)
        // Behind the exchange's snapshot.
        intake.hear(announced())
        let poll = try #require(intake.begin(everywhere: true))
        #expect(poll.request.limit == 0)
        end(poll, intake)
        intake.end(exchange, claimed: [], left: [first.claim])
        #expect(intake.action(isAsked: false) == .claim)
    }

    @Test func `what another claim took in while a poll was under way, and didn't come to, is looked for`() throws {
        let running = RunningJobs(limit: 5)
        let (intake, first, second) = (idle(running: running), claimed(UUID()), claimed(UUID()))
        #expect(intake.hear(announced(first.job.id)))
        intake.end(try #require(intake.begin(everywhere: false)), claimed: [first])
        let poll = try #require(intake.begin(everywhere: true))
        intake.hear(announced(second.job.id))
        intake.hear(announced())
        let exchange = try #require(intake.begin(leaving: [first.claim]))
        #expect(exchange.request.limit == 1)
        intake.end(exchange, claimed: [second], left: [first.claim])
        // Its snapshot is of the time before.
        end(poll, intake)
        #expect(intake.action(isAsked: false) == .claim)
        let next = try #require(intake.begin(everywhere: false))
        #expect(next.request.lanes?.map(\.from?.due) == [time])
    }

    @Test func `a job that is announced and not found is looked for once more, from where it lies`() throws {
        let intake = idle()
        passFirstLooks(intake)
        let due = time.advanced(by: .seconds(-10))
        #expect(intake.hear(.job(UUID(), queue: "default", priority: 0, due: due)))
        intake.end(try #require(intake.begin(everywhere: false)), claimed: [])
        // Somebody has locked it, and takes another one.
        intake.end(try #require(intake.begin(everywhere: false)), claimed: [])
        #expect(intake.action(isAsked: false) == .wait(until: clock.now + .milliseconds(25)))
        clock.pass(.milliseconds(25))
        #expect(intake.action(isAsked: false) == .search)
        intake.searchBegins()
        intake.searched(LaneSurvey(now: time), took: .zero)
        let next = try #require(intake.begin(everywhere: false))
        #expect(next.request.lanes?.map(\.from?.due) == [due])
        intake.end(next, claimed: [])
        guard case .wait(let moment) = intake.action(isAsked: false) else {
            Issue.record("once is enough")
            return
        }
        #expect(moment > clock.now + .seconds(1))
    }

    @Test func `who frees a slot has the poller wait for the job that becomes due`() async throws {
        let (wakeup, running, job) = (Wakeup(), RunningJobs(limit: 1), claimed(UUID()))
        let intake = idle(slots: 1, running: running, wakeup: wakeup)
        passFirstLooks(intake)
        #expect(intake.hear(announced(job.job.id)))
        intake.end(try #require(intake.begin(everywhere: false)), claimed: [job])
        intake.hear(.later(queue: "default", priority: 0, due: time.advanced(by: .seconds(1))))
        guard case .wait(let poll) = intake.action(isAsked: false) else {
            Issue.record("there is no slot")
            return
        }
        #expect(poll > clock.now + .seconds(3))
        await wakeup.wait(until: .now)
        running.remove([job.claim])
        intake.slotsFreed()
        #expect(await wakeup.wait(until: .now))
        guard case .wait(let moment) = intake.action(isAsked: false) else {
            Issue.record("it isn't due yet")
            return
        }
        #expect(moment < clock.now + .seconds(2))
        // Once it has been looked for nothing is to become due, and nobody is woken.
        clock.pass(.seconds(1))
        settle(intake)
        await wakeup.wait(until: .now)
        intake.slotsFreed()
        #expect(await !wakeup.wait(until: .now))
    }

    @Test func `no claim begins after a stop`() {
        let intake = idle()
        intake.stop()
        _ = intake.hear(announced())
        #expect(intake.begin(everywhere: false) == nil)
        #expect(intake.begin(everywhere: true) == nil)
    }
}
