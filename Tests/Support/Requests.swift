package import JobWorker

extension ClaimRequest {
    /// Claims from the queue `default` unless told otherwise; names only what matters.
    package static func test(
        types: [String] = ["noop"], queues: [(String, Int)] = [("default", 100)], limit: Int = 100,
        takesSuspect: Bool = true, workerID: String = "test-worker", staleAfter: Duration = .seconds(120),
        lanes: [Lane]? = nil
    ) -> ClaimRequest {
        ClaimRequest(
            workerID: workerID, jobTypes: types, queues: queues.map { QueueShare(name: $0.0, free: $0.1) },
            lanes: lanes, limit: limit, takesSuspect: takesSuspect, staleAfter: staleAfter)
    }
}

extension ReapRequest {
    package static func test(
        types: [String] = ["noop"], staleAfter: Duration = .seconds(120), isAllowed: Bool = true
    ) -> ReapRequest {
        ReapRequest(staleAfter: staleAfter, jobTypes: types, retry: RetryPolicy(), isAllowed: isAllowed)
    }
}

extension WorkerPresence {
    package static func test(
        id: String = "test-worker", instance: String = "default", machineID: String = "machine", running: Int = 0
    ) -> WorkerPresence {
        WorkerPresence(
            id: id, instance: instance, host: "host", machineID: machineID, pid: 1, version: "0", queues: ["default"],
            jobTypes: ["noop"], maxConcurrent: 5, running: running)
    }
}
