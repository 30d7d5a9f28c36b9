import JobWorker
import Postgres

/// What a job of the load is to do.
struct Behaviour: Codable, Sendable {
    /// Time of an attempt.
    var milliseconds: Int
    /// Attempts that fail.
    var failures = 0
    /// It fails for good.
    var isDoomed = false
    /// Snoozes until the job is this old, in seconds.
    var snoozesUntil = 0
    /// Letters in the result.
    var size = 0
    /// Takes no notice of being cancelled.
    var isDeaf = false
    /// Time for tidying up after a cancel.
    var lingers = 0
    var reports = false
    /// The results of what it waited for; they are part of its own.
    var parents: JSONValue?
}

/// Does what the job's behaviour says, and writes all of it into the ledger.
struct LedgerProcessor: JobProcessor {
    let jobTypes: [String]
    let ledger: Ledger

    func process(_ job: Job, context: JobContext) async throws -> JSONText? {
        let run = String(UInt64.random(in: .min ... .max), radix: 36)
        ledger.add(.start, run: run, of: job)
        let behaviour: Behaviour = try job.payload.decode()
        do {
            try await work(behaviour, run: run, job: job, context: context)
        } catch is CancellationError {
            await tidyUp(behaviour, run: run, job: job)
            ledger.add(.stopped, run: run, of: job)
            throw CancellationError()
        } catch {
            ledger.add(.failed, run: run, of: job)
            throw error
        }
        if behaviour.isDoomed {
            ledger.add(.failed, run: run, of: job)
            throw JobFailure.permanent("Doomed")
        }
        if job.startedAt.duration(since: job.createdAt) < .seconds(behaviour.snoozesUntil) {
            ledger.add(.snoozed, run: run, of: job)
            throw JobFailure.snooze(for: .seconds(1), "Too young")
        }
        if job.attempt <= behaviour.failures {
            ledger.add(.failed, run: run, of: job)
            throw JobFailure.retryable("Attempt \(job.attempt) fails")
        }
        ledger.add(.done, run: run, of: job)
        let parents = try behaviour.parents.map { ",\"parents\":\(try JSONText(encoding: $0).text)" } ?? ""
        return JSONText(
            "{\"run\":\"\(run)\",\"text\":\"\(String(repeating: "x", count: behaviour.size))\"\(parents)}")
    }

    private func work(_ behaviour: Behaviour, run: String, job: Job, context: JobContext) async throws {
        let begin = ContinuousClock.now
        let whole = Duration.milliseconds(behaviour.milliseconds)
        while true {
            let spent = ContinuousClock.now - begin
            guard spent < whole else { return }
            let slice = min(.milliseconds(300), whole - spent)
            if behaviour.isDeaf { await sleepSoundly(slice) } else { try await Task.sleep(for: slice) }
            ledger.add(.beat, run: run, of: job)
            if behaviour.reports {
                let percentage = Int(100 * min(1, (ContinuousClock.now - begin) / whole))
                try await context.progress(percentage, "At it")
                try await context.log(.info, "A slice is done", metadata: ["run": .string(run)])
            }
        }
    }

    private func tidyUp(_ behaviour: Behaviour, run: String, job: Job) async {
        let end = ContinuousClock.now + .milliseconds(behaviour.lingers)
        while ContinuousClock.now < end {
            await sleepSoundly(.milliseconds(5))
            ledger.add(.beat, run: run, of: job)
        }
    }

    /// Sleeps although the task is cancelled.
    private func sleepSoundly(_ duration: Duration) async {
        await Task.detached { try? await Task.sleep(for: duration) }.value
    }
}
