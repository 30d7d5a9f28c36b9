import Development
import FoundationEssentials
import Postgres

/// From SIGKILL until the job runs again, on another worker, after its lease of 30 s.
@Sendable func measureKills(_ stage: Stage) async throws -> [Figure] {
    let lease = 30.0
    let seconds = try await withThrowingTaskGroup(of: [Double].self) { group in
        // Pairs with a queue each: the victim, and who takes over.
        for pair in 0..<6 {
            group.addTask {
                let queue = ["WORKER_QUEUES": "pair-\(pair)", "WORKER_POLL_INTERVAL_MS": "5000"]
                let victim = try await stage.worker(slots: 1, lease: lease, queue)
                let jobs = try await stage.add(milliseconds: 20_000, queue: "pair-\(pair)")
                try await stage.waitUntil("EXISTS (SELECT FROM chaos.claims WHERE job = '\(jobs[0].text)')")
                _ = try await stage.worker(slots: 1, lease: lease, queue)
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...4000)))
                let moment = wallClock()
                await victim.kill()
                try await stage.waitUntil(
                    "(SELECT count(*) FROM chaos.claims WHERE job = '\(jobs[0].text)') = 2")
                return try await stage.claims(of: jobs, after: moment)
            }
        }
        return try await group.reduce(into: []) { $0 += $1 }
    }
    return [.longest("killed -> its job runs elsewhere, lease 30 s, poll 5 s", seconds, atMost: lease + 5)]
}

/// The same, where the next process of the instance starts at once.
@Sendable func measureRestarts(_ stage: Stage) async throws -> [Figure] {
    let worker = try await stage.worker(lease: 30)
    var seconds: [Double] = []
    for _ in 0..<10 {
        let jobs = try await stage.add(milliseconds: 300)
        try await stage.waitUntil("EXISTS (SELECT FROM chaos.claims WHERE job = '\(jobs[0].text)')")
        let moment = wallClock()
        await worker.kill()
        try await worker.start()
        try await stage.waitUntil("(SELECT status FROM public.jobs WHERE id = '\(jobs[0].text)') = 'completed'")
        seconds += try await stage.claims(of: jobs, after: moment)
    }
    return [.longest("killed and started again -> its job runs again", seconds, atMost: 2)]
}

/// The way to the database hangs for two leases: the handler must be stopped before another worker begins.
@Sendable func measureOverlap(_ stage: Stage) async throws -> [Figure] {
    let lease = 6.0
    let gaps = try await withThrowingTaskGroup(of: Double.self) { group in
        for pair in 0..<4 {
            group.addTask {
                let queue = ["WORKER_QUEUES": "pair-\(pair)"]
                let victim = try await stage.worker(slots: 1, lease: lease, queue)
                let job = try await stage.add(milliseconds: 15_000, queue: "pair-\(pair)")[0].text
                try await stage.waitUntil("EXISTS (SELECT FROM chaos.claims WHERE job = '\(job)')")
                let first = await victim.workerID
                _ = try await stage.worker(slots: 1, lease: lease, queue)
                victim.proxy.set(.stall())
                try await stage.waitUntil("(SELECT count(*) FROM chaos.claims WHERE job = '\(job)') = 2")
                // Whoever still runs, tells so meanwhile.
                try await Task.sleep(for: .seconds(2))
                let lines = try String(contentsOfFile: victim.ledgerPath, encoding: .utf8).split(separator: "\n")
                let last = lines.compactMap { Int64($0.prefix { $0 != "\t" }) }.last ?? 0
                victim.proxy.heal()
                return try await stage.value(
                    """
                    SELECT extract(epoch FROM min(at) - to_timestamp(\(last) / 1e6))::float8 AS value
                    FROM chaos.claims WHERE job = '\(job)' AND worker <> '\(first)'
                    """) ?? -1
            }
        }
        return try await group.reduce(into: [Double]()) { $0.append($1) }
    }
    let overlap = max(0, -(gaps.min() ?? -1))
    return [
        Figure(
            title: "cut off for two leases -> overlap of the old run and the next", goal: "0 s",
            measured:
                "\(hundredths(overlap)) s in \(gaps.count); at least \(hundredths(gaps.min() ?? 0)) s between them",
            isReached: overlap == 0 && gaps.count == 4)
    ]
}
