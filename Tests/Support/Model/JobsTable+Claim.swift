package import JobWorker

extension JobsTable {
    package struct Claimed: Sendable {
        package let job: Int
        package let token: Int64
        package let attempt: Int
        package let maxAttempts: Int
        package let isSuspect: Bool
    }

    /// `/* jobworker:claim */` for one queue and type: the tables `due`, `picked` and `claimed`.
    package mutating func claim(
        by worker: String, limit: Int, takesSuspect: Bool, staleAfter: Time, now: Time
    ) -> [Claimed] {
        guard limit > 0 else { return [] }
        var due: [(job: Int, row: Row)] = []
        for (job, row) in rows.enumerated() {
            guard let row, row.status == .pending, row.dueAt <= now, row.attempts < row.maxAttempts,
                row.workerDeaths == 0 || takesSuspect,
                !row.leaseIsOpen || row.heartbeatAt ?? .max < now - staleAfter
            else { continue }
            due.append((job, row))
        }
        due.sort { ($1.row.priority, $0.row.dueAt, $0.job) < ($0.row.priority, $1.row.dueAt, $1.job) }
        var picked: [(job: Int, row: Row)] = []
        var hasSuspect = false
        for candidate in due.prefix(limit) {
            if candidate.row.workerDeaths > 0 {
                if hasSuspect { continue }
                hasSuspect = true
            }
            picked.append(candidate)
        }
        return picked.map { job, row in
            var row = row
            let isSuspect = row.workerDeaths > 0
            row.status = .processing
            row.attempts += 1
            row.workerID = worker
            let token = nextToken()
            row.leaseToken = token
            row.leaseIsOpen = true
            row.startedAt = now
            row.heartbeatAt = now
            row.nextRetryAt = nil
            row.completedAt = nil
            row.failedAt = nil
            self[job] = row
            return Claimed(
                job: job, token: token, attempt: row.attempts, maxAttempts: row.maxAttempts, isSuspect: isSuspect)
        }
    }

    /// `/* jobworker:heartbeat */`. What it names and doesn't find is lost.
    package mutating func heartbeat(_ claims: [Held], now: Time) -> (held: [Held], cancelled: [Held], lost: [Held]) {
        var answer: (held: [Held], cancelled: [Held], lost: [Held]) = ([], [], [])
        for claim in claims {
            guard var row = self[claim.job], row.leaseToken == claim.token, row.leaseIsOpen else {
                answer.lost.append(claim)
                continue
            }
            row.heartbeatAt = now
            self[claim.job] = row
            if row.status == .processing { answer.held.append(claim) } else { answer.cancelled.append(claim) }
        }
        return answer
    }

    /// `/* jobworker:progress */`.
    package mutating func setProgress(_ claim: Held, now: Time) -> ClaimState {
        let answer = heartbeat([claim], now: now)
        return answer.lost.isEmpty ? answer.cancelled.isEmpty ? .held : .cancelled : .lost
    }
}
