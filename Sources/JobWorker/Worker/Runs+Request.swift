extension Runs {
    /// A claim of as many jobs as there are free slots, in all, for each queue and for each type that has a limit.
    /// - Parameters:
    ///   - leaving: Runs whose end is stored in the same statement.
    ///   - lanes: Where to look; `nil` for everywhere.
    func request(
        _ configuration: WorkerConfiguration, types: ServedTypes, lanes: [ClaimRequest.Lane]?, leaving: [Claim] = []
    ) -> ClaimRequest {
        let free = free(without: leaving.count)
        var jobTypes = types.names
        var typesLeft: [String: Int] = [:]
        // Types that are full are left out.
        var fullTypes: Set<String> = []
        for (type, limit) in types.limits {
            let left = limit - count(ofType: type, without: leaving)
            if left <= 0 { fullTypes.insert(type) } else if left < free { typesLeft[type] = left }
        }
        if !fullTypes.isEmpty { jobTypes.removeAll(where: fullTypes.contains) }
        var shares: [ClaimRequest.QueueShare] = []
        if configuration.queues.allSatisfy({ $0.maxConcurrent == nil }) {
            shares = configuration.queues.map { ClaimRequest.QueueShare(name: $0.name, free: free) }
        } else {
            let counts = countByQueue(without: leaving)
            let named = Set(configuration.queues.map(\.name))
            shares = configuration.queues.map { queue in
                let busy =
                    queue.name == "*"
                    ? counts.filter { !named.contains($0.key) }.values.reduce(0, +) : counts[queue.name] ?? 0
                let left = queue.maxConcurrent.map { max(0, $0 - busy) } ?? free
                return ClaimRequest.QueueShare(name: queue.name, free: min(free, left))
            }
        }
        var request = ClaimRequest(
            workerID: configuration.workerID, jobTypes: jobTypes, operatorTypes: types.forOperatorsOnly, queues: shares,
            lanes: lanes, limit: free,
            takesSuspect: !hasSuspect(without: leaving), staleAfter: configuration.staleAfter)
        request.typesLeft = typesLeft
        request.fullTypes = fullTypes
        return request
    }
}
