import FoundationEssentials
import JobWorker
import Postgres

/// SIGTERM: idle, busy for longer than the time to drain, and twice.
@Sendable func measureStops(_ stage: Stage) async throws -> [Figure] {
    let drain = ["WORKER_SHUTDOWN_TIMEOUT_SECONDS": "10"]
    let idle = try await stage.worker(drain)
    var figures: [Figure] = [.longest("told to stop while idle -> ended", [await end(idle)], atMost: 1)]
    for isTwice in [false, true] {
        let busy = try await stage.worker(slots: 10, drain)
        let jobs = try await stage.add(10, milliseconds: 60_000)
        try await stage.waitUntil("(SELECT count(*) FROM public.jobs WHERE status = 'processing') = 10")
        let other = try await stage.worker(slots: 10, drain)
        let seconds = await end(busy, twice: isTwice)
        let title = isTwice ? "told to stop twice, with ten jobs" : "told to stop with ten jobs, time to drain 10 s"
        figures.append(.longest("\(title) -> ended", [seconds], atMost: isTwice ? 2 : 12))
        try await stage.waitUntil(
            "(SELECT count(*) FROM public.jobs WHERE status = 'processing' AND worker_id = '\(await other.workerID)') = 10"
        )
        let waits = try await stage.values(
            """
            SELECT extract(epoch FROM claimed.at - released.at)::float8 AS value
            FROM chaos.audit AS released
            JOIN chaos.claims AS claimed ON claimed.job = released.job AND claimed.seq > released.seq
            WHERE released.old_status = 'processing' AND released.status = 'pending'
              AND released.attempts = released.old_attempts - 1 AND released.job IN (
                  \(jobs.map { "'\($0.text)'" }.joined(separator: ", ")))
            """)
        figures.append(.count("\(title) -> jobs given back, their attempt unspent", waits.count, goal: 10))
        figures.append(.longest("\(title) -> started elsewhere after that", waits, atMost: 1))
        for job in jobs { _ = try await stage.store.cancel(job, by: .figures) }
        await other.kill()
    }
    return figures
}

/// Seconds from SIGTERM to the end.
private func end(_ worker: WorkerSlot, twice: Bool = false) async -> Double {
    let began = ContinuousClock.now
    await worker.terminate()
    if twice {
        try? await Task.sleep(for: .milliseconds(300))
        await worker.terminate()
    }
    let status = await worker.ended()
    return status == 0 ? (ContinuousClock.now - began) / .seconds(1) : .infinity
}
