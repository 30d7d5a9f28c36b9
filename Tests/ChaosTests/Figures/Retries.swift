import JobWorker

/// When the next attempt begins, against the delay that its failure was given.
@Sendable func measureRetries(_ stage: Stage) async throws -> [Figure] {
    _ = try await stage.worker(["WORKER_RETRY_BASE_SECONDS": "1", "WORKER_POLL_INTERVAL_MS": "500"])
    try await stage.add(200, milliseconds: 5, failures: 2, type: "flaky")
    try await stage.waitUntil("NOT EXISTS (SELECT FROM public.jobs WHERE status <> 'completed')")
    let late = try await stage.values(
        """
        SELECT extract(epoch FROM (SELECT min(c.at) FROM chaos.claims AS c WHERE c.job = f.job AND c.seq > f.seq)
                                  - f.began)::float8 - 2 ^ (f.attempts - 1) AS value
        FROM chaos.audit AS f WHERE f.old_status = 'processing' AND f.status = 'pending' ORDER BY 1
        """)
    let p99 = late.isEmpty ? 0 : late[min(late.count - 1, late.count * 99 / 100)]
    return [
        .count("retries that begin before their delay, of \(late.count)", late.count { $0 < 0 }, goal: 0),
        .longest("retries -> p99 of what they begin too late", [p99], atMost: 1),
    ]
}

extension Requester {
    static var figures: Requester { Requester(actor: "operator:figures", via: .cli) }
}
