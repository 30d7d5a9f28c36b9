import Console
import FoundationEssentials
import JobWorker
import Postgres
import Terminal
import Testing

@testable import Explanation

/// The sentences, word for word, as `explanations.txt` has them: what follows a line `## name` is the explanation of the
/// case of that name.
struct ExplanationTests {
    private static let file =
        #filePath.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/explanations.txt"

    private static let now = Timestamp(text: "2026-03-02T08:15:00Z") ?? .distantPast
    private static let id = UUID(uuidString: "11111111-2222-4333-8444-555555555555") ?? UUID()

    private static let origin = UUID(uuidString: "99999999-2222-4333-8444-555555555555") ?? UUID()

    private static func at(_ seconds: Int) -> Timestamp { now.advanced(by: .seconds(seconds)) }

    /// A due job that a worker with a free slot serves, unless changed.
    private static func facts(
        _ status: JobStatus? = .pending, for audience: JobFacts.Audience = .operators, type: String = "report",
        _ change: (inout JobFacts) -> Void = { _ in }
    ) -> JobFacts {
        var facts = JobFacts(audience, id: id, type: type, status: status?.rawValue, asOf: now)
        facts.workspaceID = id
        facts.dueAt = at(-180)
        facts.workers = JobFacts.Workers(alive: 2, servingType: 2, servingQueue: 2, serving: 2, slots: 10, busy: 3)
        change(&facts)
        return facts
    }

    private static func running(_ change: (inout JobFacts) -> Void = { _ in }) -> JobFacts {
        facts(.processing) {
            $0.attempts = 1
            $0.startedAt = at(-200)
            $0.hasLease = true
            $0.leaseIsOpen = true
            $0.workerID = "w1.4711.k3"
            $0.holder = JobFacts.Holder(host: "app-1")
            $0.heartbeatAt = at(-5)
            change(&$0)
        }
    }

    private static func failed(_ status: JobStatus = .failed, _ change: (inout JobFacts) -> Void) -> JobFacts {
        facts(status) {
            $0.attempts = 5
            $0.failedAt = at(-60)
            $0.completedAt = at(-60)
            $0.errorMessage = "Apollo answered 502"
            change(&$0)
        }
    }

    private static let cases: [(name: String, facts: JobFacts)] = [
        ("nothing in its way", facts()),
        (
            "scheduled",
            facts {
                $0.scheduledFor = at(7200)
                $0.dueAt = at(7200)
            }
        ),
        (
            "retried after a failure",
            facts {
                $0.attempts = 2
                $0.nextRetryAt = at(120)
                $0.dueAt = at(120)
                $0.errorMessage = "Apollo answered 502"
            }
        ),
        (
            "snoozed",
            facts {
                $0.nextRetryAt = at(600)
                $0.dueAt = at(600)
                $0.snoozedSince = at(-3600)
                $0.errorMessage = "Apollo's limit of 100 requests a minute is reached"
            }
        ),
        (
            "a suspect",
            facts {
                $0.attempts = 2
                $0.nextRetryAt = at(120)
                $0.dueAt = at(120)
                $0.workerDeaths = 2
                $0.errorMessage = "The worker that ran attempt 2 stopped answering"
            }
        ),
        ("queue paused", facts { $0.pause = JobFacts.Pause(since: at(-3600), by: "operator:alice") }),
        (
            "queue paused, told to a member",
            facts(for: .members) { $0.pause = JobFacts.Pause(since: at(-3600), by: nil) }
        ),
        (
            "scheduled, and its queue is paused",
            facts {
                $0.scheduledFor = at(7200)
                $0.dueAt = at(7200)
                $0.pause = JobFacts.Pause(since: at(-3600), by: "operator:alice")
            }
        ),
        ("no worker", facts { $0.workers = JobFacts.Workers() }),
        ("type unserved", facts { $0.workers = JobFacts.Workers(alive: 3, servingQueue: 3) }),
        (
            "type unserved, told to a member",
            facts(for: .members) { $0.workers = JobFacts.Workers(alive: 1, servingQueue: 1) }
        ),
        (
            "queue unserved",
            facts {
                $0.queue = "mail"
                $0.workers = JobFacts.Workers(alive: 1, servingType: 1)
            }
        ),
        (
            "unserved together",
            facts { $0.workers = JobFacts.Workers(alive: 2, servingType: 1, servingQueue: 1) }
        ),
        (
            "slots taken, jobs ahead",
            facts {
                $0.workers.busy = 10
                $0.ahead = JobFacts.Ahead(count: 14)
            }
        ),
        (
            "slots taken, more ahead than were counted",
            facts {
                $0.workers = JobFacts.Workers(
                    alive: 1, servingType: 1, servingQueue: 1, serving: 1, slots: 1, busy: 1)
                $0.ahead = JobFacts.Ahead(count: 1000, isAtLeast: true)
            }
        ),
        (
            "slots taken, told to a member",
            facts(for: .members) {
                $0.workers = JobFacts.Workers(alive: 1, servingType: 1, servingQueue: 1, serving: 1, slots: 1, busy: 1)
                $0.ahead = JobFacts.Ahead(count: 1)
            }
        ),
        ("queue limit reached", facts { $0.limit = JobFacts.Limit(most: 2, isReached: true) }),
        (
            "queue limit reached, told to a member",
            facts(for: .members) { $0.limit = JobFacts.Limit(most: nil, isReached: true) }
        ),
        (
            "a limit on its type reached",
            facts { $0.exhausted = [JobFacts.ExhaustedLimit(name: "mails", most: 3)] }
        ),
        (
            "a rate used up, in a queue with turns and ageing",
            facts {
                $0.exhausted = [JobFacts.ExhaustedLimit(name: "api", nextAt: at(12))]
                $0.rules = JobFacts.Rules(ageing: .seconds(60), sharers: 4)
                $0.ahead = JobFacts.Ahead(count: 7)
            }
        ),
        (
            "a rate used up, told to a member",
            facts(for: .members) {
                $0.exhausted = [JobFacts.ExhaustedLimit(name: nil, nextAt: at(12))]
                $0.rules = JobFacts.Rules(sharers: 1)
            }
        ),
        ("queue limit of none", facts { $0.limit = JobFacts.Limit(most: 0, isReached: true) }),
        (
            "an earlier run hasn't ended",
            facts {
                $0.leaseIsOpen = true
                $0.heartbeatAt = at(-10)
                $0.lastChange = JobFacts.Change(action: "job.retry", actor: "user:7", at: at(-4), reason: "fixed")
            }
        ),
        (
            "for operators only",
            facts {
                $0.insertedBy = "authenticated"
                $0.workers.refusingMembers = 2
            }
        ),
        (
            "enrichment without a key",
            facts(type: "enrich_account") { $0.workspace = JobFacts.Workspace(status: "active", hasKey: false) }
        ),
        (
            "enrichment in a suspended workspace",
            facts(type: "enrich_account") { $0.workspace = JobFacts.Workspace(status: "suspended", hasKey: true) }
        ),
        (
            "enrichment after a refusal",
            facts(type: "enrich_contact") {
                $0.workspace = JobFacts.Workspace(status: "active", hasKey: true, refusedUntil: at(200))
            }
        ),
        (
            "blocked",
            facts(.blocked) {
                $0.parents = JobFacts.Parents(
                    count: 3,
                    open: [
                        JobFacts.Parent(id: id, type: "import", status: "processing", onFailure: "cancel"),
                        JobFacts.Parent(id: id, type: "check", status: "failed", onFailure: "run"),
                    ], openCount: 3)
            }
        ),
        ("blocked by nothing", facts(.blocked)),
        ("running", running()),
        (
            "running again, with a time limit of its own",
            running {
                $0.attempts = 3
                $0.timeout = .seconds(300)
                $0.errorMessage = "Apollo answered 502"
            }
        ),
        (
            "running, told to a member",
            running {
                $0.audience = .members
                $0.workerID = nil
                $0.holder = nil
            }
        ),
        ("silent worker", running { $0.heartbeatAt = at(-150) }),
        (
            "silent worker, the third death",
            running {
                $0.heartbeatAt = at(-150)
                $0.workerDeaths = 2
                $0.workers = JobFacts.Workers()
            }
        ),
        ("run by the application", facts(.processing) { $0.startedAt = at(-60) }),
        (
            "run by the application, a type that nobody serves",
            facts(.processing) {
                $0.startedAt = at(-60)
                $0.workers = JobFacts.Workers(alive: 1)
            }
        ),
        (
            "cancelled, its handler still runs",
            running {
                $0.status = "cancelled"
                $0.completedAt = at(-3)
                $0.lastChange = JobFacts.Change(
                    action: "job.cancel", actor: "operator:alice", at: at(-3), reason: "wrong list")
            }
        ),
        ("cancelled", facts(.cancelled) { $0.completedAt = at(-3600) }),
        (
            "completed",
            facts(.completed) {
                $0.attempts = 1
                $0.startedAt = at(-63)
                $0.completedAt = at(-60)
            }
        ),
        ("failed, attempts used up", failed { _ in }),
        (
            "failed, permanent error",
            failed {
                $0.attempts = 1
                $0.errorMessage = "Account not found."
            }
        ),
        (
            "failed, poison",
            failed {
                $0.attempts = 3
                $0.workerDeaths = 3
                $0.errorMessage = "The worker that ran attempt 3 stopped answering"
            }
        ),
        (
            "failed, timeout",
            failed { $0.errorMessage = "\(JobFailure.timeoutStart) attempt 5 ran longer than 15 min" }
        ),
        (
            "set aside by a person",
            failed(.deadLetter) {
                $0.lastChange = JobFacts.Change(
                    action: "job.set_aside", actor: "operator:alice", at: at(-30), reason: "look at it on Monday")
            }
        ),
        ("set aside by the queue's rule", failed(.deadLetter) { $0.isSetAsideByQueue = true }),
        ("set aside, nobody knows by whom", failed(.deadLetter) { _ in }),
        (
            "a replay that failed as well",
            failed(.failed) { $0.replayOf = JobFacts.Origin(id: Self.origin, status: "dead_letter") }
        ),
        ("a replay of what is gone", facts { $0.replayOf = JobFacts.Origin(id: Self.origin) }),
        ("no workspace", facts { $0.workspaceID = nil }),
        ("no status", facts(nil)),
        ("unknown status", facts { $0.status = "running\u{1B}[2J" }),
        ("no time", facts { $0.dueAt = nil }),
        (
            "pending with its attempts used up",
            facts {
                $0.attempts = 5
                $0.errorMessage = "x"
            }
        ),
    ]

    private static func rendered() -> String {
        cases.map { "## \($0.name)\n\n\(WhyView(Explanation($0.facts)).text(for: .plain))" }.joined(separator: "\n")
    }

    @Test func `every way a job can stand is told in these words`() throws {
        let expected = try String(contentsOfFile: Self.file, encoding: .utf8).split(separator: "## ").map(String.init)
        let found = Self.rendered().split(separator: "## ").map(String.init)
        #expect(found.count == expected.count)
        for (found, expected) in zip(found, expected) {
            #expect(found.trimmingBlankLines == expected.trimmingBlankLines)
        }
    }

    @Test func `every state and every reason is told somewhere`() {
        let explanations = Self.cases.map { Explanation($0.facts) }
        #expect(Set(explanations.map(\.state)) == Set(Explanation.State.allCases))
        let told = Set(explanations.flatMap(\.reasons).map(\.code))
        #expect(Set(Explanation.Code.allCases).subtracting(told) == [])
        #expect(Set(Explanation.Next.What.allCases).subtracting(explanations.map(\.next.what)) == [])
    }

    @Test func `a program gets the same with names that stay`() throws {
        let facts = Self.facts { $0.pause = JobFacts.Pause(since: Self.at(-3600), by: "operator:alice") }
        let document: JSONValue = try JSONText(Explanation(facts).json.line).decode()
        #expect(document["job_id"]?.string == Self.id.text && document["state"] == "waiting")
        #expect(document["as_of"] == "2026-03-02T08:15:00.000Z")
        let reason = try #require(document["reasons"]?.array?.first)
        #expect(reason["code"] == "queue_paused" && reason["by"] == "operator:alice" && reason["queue"] == "default")
        #expect(reason["since"] == "2026-03-02T07:15:00.000Z")
        #expect(document["next"]?["what"] == "resume_queue" && document["next"]?["at"] == .null)
    }

    @Test func `a text of a job is cut and can't steer the terminal`() {
        let facts = Self.failed { $0.errorMessage = "\u{1B}[2J" + String(repeating: "x", count: 5000) }
        let text = WhyView(Explanation(facts)).text(for: .plain)
        #expect(!text.unicodeScalars.contains("\u{1B}") && text.count < 1200)
    }
}

extension String {
    fileprivate var trimmingBlankLines: String {
        var text = self[...]
        while text.last == "\n" { text.removeLast() }
        return String(text)
    }
}
