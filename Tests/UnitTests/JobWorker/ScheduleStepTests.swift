import FoundationEssentials
import Postgres
import Testing

@testable import Cron
@testable import JobWorker

@Suite struct ScheduleStepTests {
    private let now = Timestamp(microseconds: 1_800_000_000_000_000)

    private func due(
        at time: Timestamp?, cron: String? = nil, every seconds: Int? = nil, zone: String = "UTC",
        catchUp: Schedule.CatchUp = .all
    ) -> DueSchedule {
        DueSchedule(
            id: UUID(), version: "1", name: "x", nextRunAt: time, cron: cron, everySeconds: seconds, timeZone: zone,
            catchUp: catchUp)
    }

    @Test(arguments: [Timestamp.distantPast, Timestamp(microseconds: -1), Timestamp(microseconds: .min + 1)])
    func `a time before all that can be told counts as the first one`(time: Timestamp) {
        for (cron, seconds) in [("*/5 * * * *", nil), (nil, 300)] as [(String?, Int?)] {
            let step = ScheduleStep(due(at: time, cron: cron, every: seconds), now: now)
            #expect(step.ticks.count == ScheduleStep.catchUpMax && step.error == nil)
            #expect(step.next.map { $0 > now && $0.duration(since: now) <= .seconds(300) } == true)
        }
    }

    @Test(arguments: [Timestamp.distantFuture, Timestamp(microseconds: .max - 1)])
    func `a time behind all that can be told makes no job`(time: Timestamp) {
        let step = ScheduleStep(due(at: time, every: 2_000_000_000), now: now)
        #expect(step.ticks.isEmpty)
    }

    @Test func `a schedule whose next tick would be out of reach has none`() {
        let last = Timestamp(microseconds: Int64(Recurrence.span.upperBound - 1))
        #expect(ScheduleStep(due(at: last, every: 3600), now: last).next == nil)
        #expect(ScheduleStep(due(at: nil, cron: "0 0 2 1 *"), now: last).error == "there is no further time")
    }

    @Test(arguments: [Int.min, -1, Recurrence.span.upperBound + 1, Int.max])
    func `nothing comes after a moment out of reach`(moment: Int) throws {
        for recurrence in [
            try Recurrence(cron: "@daily", everySeconds: nil, timeZone: "UTC"),
            try Recurrence(cron: nil, everySeconds: Int(Int32.max), timeZone: "UTC"),
        ] {
            #expect(recurrence.next(after: moment) == nil)
            #expect(recurrence.upcoming(5, after: moment) == [])
        }
    }

    @Test func `a machine that lacks the time zone takes no step, and spoils nothing for the others`() {
        let step = ScheduleStep(
            due(at: now, cron: "@daily", zone: "Europe/Berlin"), now: now, zones: ZoneDirectory(path: "/nowhere"))
        #expect(step.obstacle?.contains("install the package tzdata") == true)
        #expect(step.error == nil && step.ticks.isEmpty)
        // What no machine understands is the schedule's own fault.
        for (cron, zone) in [("61 * * * *", "UTC"), ("@daily", "no zone")] {
            let step = ScheduleStep(due(at: now, cron: cron, zone: zone), now: now)
            #expect(step.error != nil && step.obstacle == nil)
        }
    }

    @Test func `a statement gets no more ticks than it can insert in time`() {
        func step(_ ticks: Int) -> ScheduleStep {
            var step = ScheduleStep(due(at: nil, every: 60), now: now)
            step.ticks = Array(repeating: now, count: ticks)
            return step
        }
        let steps = [1000] + Array(repeating: 150, count: 20) + [0, 0, 201]
        let batches = ScheduleStep.batches(steps.map(step))
        #expect(batches.flatMap { $0 }.map(\.ticks.count).sorted() == steps.sorted())
        for batch in batches {
            let ticks = batch.map(\.ticks.count)
            #expect(ticks.reduce(0, +) <= 1000)
            #expect(batch.count == 1 || ticks.allSatisfy { $0 <= 200 })
        }
        #expect(batches.count == 6)
        #expect(ScheduleStep.batches([]).isEmpty)
    }
}
