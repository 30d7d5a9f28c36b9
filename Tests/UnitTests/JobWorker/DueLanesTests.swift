import FoundationEssentials
import Postgres
import Testing

@testable import JobWorker

@Suite struct DueLanesTests {
    private typealias Lane = ClaimRequest.Lane
    private let start = ContinuousClock.now
    private let noon = Timestamp(microseconds: 1_700_000_000_000_000)

    /// Two priorities of one queue, as the timer's look found them at noon.
    private func discovered(_ lanes: [(String, Int)] = [("default", 5), ("default", 0)]) -> DueLanes {
        var due = DueLanes()
        due.discovered(lanes.map { Lane(queue: $0, priority: $1, from: nil) }, at: noon, askedAt: start, now: start)
        return due
    }

    private func job(_ queue: String = "default", priority: Int = 0, due: Timestamp, isSuspect: Bool = false)
        -> ClaimedJob
    {
        let id = UUID()
        let job = Job(
            id: id, workspaceID: UUID(), type: "noop", queue: queue, payload: JSONText("{}"), priority: priority,
            createdAt: due, dueAt: due, startedAt: due)
        return ClaimedJob(job: job, claim: Claim(jobID: id, token: 1), isSuspect: isSuspect, refusal: nil)
    }

    private func look(_ due: inout DueLanes, limit: Int = 5, takesSuspect: Bool = true, bringing jobs: [ClaimedJob]) {
        let request = ClaimRequest(
            workerID: "w", jobTypes: ["noop"], queues: [.init(name: "*", free: limit)], lanes: due.asked(),
            limit: limit,
            takesSuspect: takesSuspect, staleAfter: .seconds(120))
        due.looked(for: request, claimed: jobs, askedAt: start)
    }

    private func from(_ due: DueLanes, queue: String = "default", _ priority: Int) -> ClaimRequest.Place? {
        var due = due
        return due.asked().first { $0.queue == queue && $0.priority == priority }?.from
    }

    /// What a look that found the end of a lane at noon leaves to be looked at again.
    private var end: ClaimRequest.Place { ClaimRequest.Place(due: noon.advanced(by: .seconds(-1))) }

    @Test func `before the first look at everything there is nowhere to look`() {
        var due = DueLanes()
        #expect(due.asked().isEmpty)
    }

    @Test func `a lane seen to its end is looked at from a moment before`() {
        var due = discovered()
        look(&due, bringing: [job(due: noon)])
        #expect(from(due, 0) == end && from(due, 5) == end)
    }

    @Test func `of a look that passed over jobs of a full type nothing counts as seen`() {
        var due = discovered()
        var request = ClaimRequest(
            workerID: "w", jobTypes: ["noop"], queues: [.init(name: "*", free: 5)], lanes: due.asked(), limit: 5,
            takesSuspect: true, staleAfter: .seconds(120))
        request.typesLeft = ["noop": 2]
        due.looked(for: request, claimed: [job(due: noon), job(due: noon)], askedAt: start)
        #expect(from(due, 0) == nil && from(due, 5) == nil)
        due.looked(for: request, claimed: [job(due: noon)], askedAt: start)
        #expect(from(due, 0) == end && from(due, 5) == end)
    }

    @Test func `looks that leave a type out see from places of their own, so that its jobs are found where they begin`()
    {
        var due = discovered([("default", 0)])
        func request(without types: Set<String>) -> ClaimRequest {
            var request = ClaimRequest(
                workerID: "w", jobTypes: ["noop"], queues: [.init(name: "*", free: 5)],
                lanes: due.asked(without: types),
                limit: 5, takesSuspect: true, staleAfter: .seconds(120))
            request.fullTypes = types
            return request
        }
        due.looked(for: request(without: ["slow"]), claimed: [job(due: noon)], askedAt: start)
        #expect(due.asked(without: ["slow"]).map(\.from) == [end])
        #expect(due.asked().map(\.from) == [nil])
        // Of another set nothing is known.
        #expect(due.asked(without: ["slow", "report"]).map(\.from) == [nil])
        // What is announced both look for.
        due.looked(for: request(without: ["slow"]), claimed: [job(due: noon)], askedAt: start)
        let early = noon.advanced(by: .seconds(-60))
        due.hear(.lane(queue: "default", priority: 0, due: early))
        #expect(due.asked(without: ["slow"]).map(\.from) == [.init(due: early)])
        // A look at everything, too, leaves the rest to one that takes all.
        due.discovered(
            [.init(queue: "default", priority: 0, from: nil)], at: noon, askedAt: start, now: start)
        var poll = request(without: ["slow"])
        poll.lanes = nil
        due.looked(for: poll, claimed: [job(due: noon)], askedAt: start)
        #expect(due.asked(without: ["slow"]).map(\.from) == [end])
        #expect(due.asked().map(\.from) == [nil])
    }

    @Test func `what lies behind rows that a failed look had locked doesn't hide them`() {
        var due = discovered()
        look(&due, bringing: [job(due: noon)])
        let first = ClaimRequest(
            workerID: "w", jobTypes: ["noop"], queues: [.init(name: "*", free: 5)], lanes: due.asked(), limit: 5,
            takesSuspect: true, staleAfter: .seconds(120))
        // A second one passes over the rows of the first, and sees what comes after them.
        let later = noon.advanced(by: .seconds(60))
        look(&due, limit: 1, bringing: [job(priority: 5, due: later)])
        #expect(from(due, 5)?.due == later)
        due.failed(first)
        // A third, which began before that one failed.
        due.looked(for: first, claimed: [job(priority: 5, due: later)], askedAt: start)
        #expect(from(due, 5) == end && from(due, 0) == end)
    }

    @Test func `of lanes whose queues share a cap none counts as seen where it cut the look short`() {
        var due = discovered([("a", 0), ("b", 0)])
        var request = ClaimRequest(
            workerID: "w", jobTypes: ["noop"], queues: [.init(name: "mail", free: 5), .init(name: "*", free: 2)],
            lanes: due.asked(), limit: 5, takesSuspect: true, staleAfter: .seconds(120))
        let jobs = [job("a", due: noon), job("b", due: noon)]
        due.looked(for: request, claimed: jobs, askedAt: start)
        #expect(from(due, queue: "a", 0)?.due == noon && from(due, queue: "b", 0)?.due == noon)
        request.queues[1] = .init(name: "*", free: 3)
        due.looked(for: request, claimed: jobs, askedAt: start + .seconds(60))
        #expect(from(due, queue: "a", 0)?.due ?? noon > noon)
    }

    @Test func `an answer that took long makes nobody believe that more was seen than was`() {
        var due = DueLanes()
        due.discovered(
            [Lane(queue: "default", priority: 0, from: nil)], at: noon, askedAt: start,
            now: start + .seconds(5))
        let request = ClaimRequest(
            workerID: "w", jobTypes: ["noop"], queues: [.init(name: "*", free: 5)], lanes: due.asked(), limit: 5,
            takesSuspect: true, staleAfter: .seconds(120))
        // The clock had shown noon at the latest when the answer came.
        due.looked(for: request, claimed: [], askedAt: start + .seconds(5))
        #expect(from(due, 0) == end)
    }

    @Test func `a lane that still holds something is looked at from the last job on`() {
        var due = discovered()
        let jobs = [job(priority: 5, due: noon), job(due: noon.advanced(by: .seconds(-9)))]
        look(&due, limit: 2, bringing: jobs)
        #expect(from(due, 5) == end)
        #expect(from(due, 0) == ClaimRequest.Place(due: jobs[1].job.dueAt, id: jobs[1].job.id))
    }

    @Test func `a lane that is learned of while a look is under way isn't seen by that look`() {
        var due = discovered([("default", 0)])
        let request = ClaimRequest(
            workerID: "w", jobTypes: ["noop"], queues: [.init(name: "*", free: 5)], lanes: due.asked(), limit: 5,
            takesSuspect: true, staleAfter: .seconds(120))
        due.learned([Lane(queue: "default", priority: 10, from: nil)])
        due.looked(for: request, claimed: [job(due: noon)], askedAt: start)
        #expect(from(due, 10) == nil && from(due, 0) == end)
    }

    @Test func `what is told to lie further back while a look is under way isn't seen by that look`() {
        var due = discovered([("default", 0)])
        look(&due, bringing: [])
        let request = ClaimRequest(
            workerID: "w", jobTypes: ["noop"], queues: [.init(name: "*", free: 5)], lanes: due.asked(), limit: 5,
            takesSuspect: true, staleAfter: .seconds(120))
        let early = noon.advanced(by: .seconds(-60))
        due.hear(.lane(queue: "default", priority: 0, due: early))
        // Another look begins, and sees it.
        #expect(due.asked().map(\.from) == [ClaimRequest.Place(due: early)])
        due.looked(for: request, claimed: [], askedAt: start)
        #expect(from(due, 0) == ClaimRequest.Place(due: early))
    }

    @Test func `lanes that a full look didn't come to stay as they are`() {
        var due = discovered()
        look(&due, limit: 1, bringing: [job(priority: 5, due: noon)])
        #expect(from(due, 0) == nil)
    }

    @Test func `a job announced behind what was seen is looked for`() {
        var due = discovered()
        look(&due, bringing: [])
        let early = noon.advanced(by: .seconds(-60))
        due.hear(.lane(queue: "default", priority: 0, due: early))
        #expect(from(due, 0) == ClaimRequest.Place(due: early))
    }

    @Test func `an announcement during a look survives it`() {
        var due = discovered()
        let request = ClaimRequest(
            workerID: "w", jobTypes: ["noop"], queues: [.init(name: "*", free: 5)], lanes: due.asked(), limit: 5,
            takesSuspect: true, staleAfter: .seconds(120))
        let early = noon.advanced(by: .seconds(-60))
        due.hear(.lane(queue: "default", priority: 0, due: early))
        due.looked(for: request, claimed: [], askedAt: start)
        #expect(from(due, 0) == ClaimRequest.Place(due: early))
    }

    @Test func `an announced lane is new`() {
        var due = discovered([])
        due.hear(.lane(queue: "mail", priority: -3, due: noon))
        #expect(from(due, queue: "mail", -3) == ClaimRequest.Place(due: noon))
    }

    @Test func `looks that pass over suspects leave them to be found`() {
        var due = discovered()
        look(&due, takesSuspect: false, bringing: [])
        #expect(from(due, 0) == nil)
        look(&due, bringing: [job(due: noon, isSuspect: true)])
        #expect(from(due, 0) == nil)
    }

    @Test func `the timer's look begins anew`() {
        var due = discovered()
        look(&due, bringing: [])
        due.discovered([Lane(queue: "default", priority: 0, from: nil)], at: noon, askedAt: start, now: start)
        #expect(from(due, 0) == nil)
        #expect(due.asked().count == 1)
    }

    @Test func `many invented announcements fill no memory`() {
        var due = discovered()
        for number in 0..<5000 { due.hear(.lane(queue: "q\(number)", priority: 0, due: noon)) }
        #expect(due.asked().count <= 1001)
    }

    @Test(arguments: ["", "default", "x 1 default", "1 default", "- - default", "1 x default"])
    func `an announcement of another form is about anything`(payload: String) {
        #expect(DueAnnouncement(payload: payload) == .unknown)
    }

    @Test(arguments: [
        "job x -2 1700000000000000 default", "job 0d9e3b7a-5f43-4d6c-8c55-1f7a2b1c9e10", "job ",
        "job 0d9e3b7a-5f43-4d6c-8c55-1f7a2b1c9e10 x 1 default",
    ])
    func `an announcement of a job of another form is about anything`(payload: String) {
        #expect(DueAnnouncement(payload: payload) == .unknown)
    }

    @Test func `an announcement may name one job`() throws {
        let id = try #require(UUID(uuidString: "0d9e3b7a-5f43-4d6c-8c55-1f7a2b1c9e10"))
        #expect(
            DueAnnouncement(payload: "job \(id.text) -2 1700000000000000 my queue")
                == .job(id, queue: "my queue", priority: -2, due: noon))
    }

    @Test func `an announcement names priority, time and queue`() {
        #expect(
            DueAnnouncement(payload: "-2 1700000000000000 my queue")
                == .lane(queue: "my queue", priority: -2, due: noon))
    }
}
