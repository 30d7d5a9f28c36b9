import JobWorker

extension JobsTable {
    /// The delays of a lost attempt, in milliseconds.
    package struct Delays: Sendable {
        package let base: Time
        package let max: Time

        package init(base: Time, max: Time) {
            self.base = base
            self.max = max
        }

        /// Without the tenth that chance adds.
        package func delay(after attempt: Int) -> Time { min(base << min(attempt - 1, 30), max) }
    }

    /// `/* jobworker:reap */`, also a part of the poll; rows that never had a token are left out.
    /// - Parameter random: In 0..<1.
    /// - Returns: What is taken back.
    package mutating func reap(staleAfter: Time, batch: Int, delays: Delays, random: Double, now: Time) -> [Int] {
        var stale: [Int] = []
        for (job, row) in rows.enumerated() where stale.count < batch {
            guard let row, row.status == .processing, let heartbeatAt = row.heartbeatAt,
                heartbeatAt < now - staleAfter
            else { continue }
            stale.append(job)
        }
        // `let_go`: a cancelled run whose worker fell silent has ended.
        for (job, row) in rows.enumerated() {
            guard let row, row.leaseIsOpen, row.status != .processing, row.status != .pending,
                row.heartbeatAt ?? now < now - staleAfter
            else { continue }
            self[job]?.leaseIsOpen = false
        }
        takeBack(stale, delays: delays, random: random, now: now)
        return stale
    }

    /// `/* jobworker:take_back */`.
    package mutating func takeBackPredecessors(
        of worker: Worker, delays: Delays, random: Double, now: Time
    ) -> [Int] {
        // Registered before it; in order of their registration.
        let dead = workers.prefix { $0.id != worker.id }.filter { $0.instance == worker.instance }.map(\.id)
        var stale: [Int] = []
        for (job, row) in rows.enumerated() {
            guard let row, let owner = row.workerID, dead.contains(owner) else { continue }
            if row.status == .processing { stale.append(job) } else { self[job]?.leaseIsOpen = false }
        }
        takeBack(stale, delays: delays, random: random, now: now)
        return stale
    }

    /// The tables `verdict` and `taken_back`.
    private mutating func takeBack(_ stale: [Int], delays: Delays, random: Double, now: Time) {
        for job in stale {
            guard var row = self[job] else { continue }
            let isFinal = row.workerDeaths + 1 >= 3 || row.attempts >= row.maxAttempts
            let delay = delays.delay(after: max(row.attempts, 1))
            row.status = isFinal ? .failed : .pending
            row.failedAt = isFinal ? now : nil
            row.completedAt = row.failedAt
            row.nextRetryAt = isFinal ? nil : now + delay + Time(0.1 * random * Double(delay))
            row.workerDeaths += 1
            row.leaseIsOpen = false
            row.snoozedSince = nil
            self[job] = row
        }
    }
}
