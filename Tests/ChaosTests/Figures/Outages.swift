import Development
import FoundationEssentials
import Postgres

/// Twenty crashes of the server in a row, under load.
@Sendable func measureCrashes(_ stage: Stage) async throws -> [Figure] {
    let worker = try await stage.worker(lease: 30)
    let before = await worker.processID
    var seconds: [Double] = []
    for _ in 0..<20 {
        try await stage.add(20, milliseconds: 20)
        try await stage.database.server.restart(.immediate)
        // Idle sessions of the harness belong to the server that is gone.
        await stage.database.admin.closeIdle()
        await stage.database.clients.closeIdle()
        let moment = wallClock()
        let jobs = try await stage.add(milliseconds: 1)
        try await stage.waitUntil("(SELECT status FROM public.jobs WHERE id = '\(jobs[0].text)') = 'completed'")
        seconds += try await stage.claims(of: jobs, after: moment)
    }
    try await stage.waitUntil("NOT EXISTS (SELECT FROM public.jobs WHERE status <> 'completed')")
    // Claims whose answer was lost are taken back; nobody has run them.
    let twice = try worker.runs().values.count { $0 > 1 }
    return [
        .longest("database crashes -> work goes on after it accepts connections", seconds, atMost: 3),
        .count(
            "database crashes 20 times -> restarts of the worker", await worker.processID == before ? 0 : 1, goal: 0),
        .count("database crashes 20 times -> jobs run twice", twice, goal: 0),
    ]
}

/// The peer of the listening connection vanishes, three times; nothing else does.
@Sendable func measureListening(_ stage: Stage) async throws -> [Figure] {
    let worker = try await stage.worker(["WORKER_POLL_INTERVAL_MS": "5000"])
    let listens = "SELECT FROM pg_stat_activity WHERE application_name = 'jobworker listen' AND state = 'idle'"
    var (pickUps, returns): ([Double], [Double]) = ([], [])
    for _ in 0..<3 {
        try await stage.waitUntil("EXISTS (\(listens))")
        let old =
            try await stage.value("SELECT max(pid)::float8 AS value FROM (SELECT pid \(listens.dropFirst(7))) AS l")
            ?? 0
        worker.proxy.deaden(application: "jobworker listen")
        let moment = wallClock()
        let jobs = try await stage.add(milliseconds: 1)
        try await stage.waitUntil("EXISTS (SELECT FROM chaos.claims WHERE job = '\(jobs[0].text)')")
        pickUps += try await stage.claims(of: jobs, after: moment)
        try await stage.waitUntil("EXISTS (\(listens) AND pid <> \(Int(old)))")
        returns.append(Double(wallClock() - moment) / 1e6)
    }
    return [
        .longest("listening connection dead -> a job is picked up", pickUps, atMost: 5.5),
        .longest("listening connection dead -> listens again", returns, atMost: 15),
    ]
}
