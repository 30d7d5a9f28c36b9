import JobWorker

extension JobsTable {
    /// `/* jobworker:enqueue */`: one that is there already is left as it is.
    package mutating func enqueue(_ job: Int, priority: Int, maxAttempts: Int, scheduledFor: Time?, now: Time) {
        guard self[job] == nil else { return }
        var row = Row(createdAt: now)
        row.priority = priority
        row.maxAttempts = maxAttempts
        row.scheduledFor = scheduledFor
        self[job] = row
    }

    /// `jobworker.cancel_job`.
    /// - Returns: Whether its state allowed it.
    package mutating func cancel(_ job: Int, now: Time) -> Bool {
        guard var row = self[job] else { return false }
        switch row.status {
        case .pending, .blocked, .processing: break
        case .completed, .failed, .deadLetter, .cancelled: return false
        }
        row.status = .cancelled
        row.completedAt = now
        row.nextRetryAt = nil
        self[job] = row
        return true
    }

    /// `jobworker.retry_job` and `jobworker.retried`.
    /// - Returns: Whether its state allowed it.
    package mutating func retry(_ job: Int, now: Time) -> Bool {
        guard var row = self[job] else { return false }
        switch row.status {
        case .failed, .deadLetter, .cancelled, .pending: break
        case .blocked, .processing, .completed: return false
        }
        if row.status == .pending, row.nextRetryAt == nil, row.scheduledFor ?? now <= now { return true }
        row.nextRetryAt = nil
        if let scheduledFor = row.scheduledFor, scheduledFor > now { row.scheduledFor = now }
        if row.status != .pending {
            row.status = .pending
            row.attempts = 0
            row.startedAt = nil
            row.completedAt = nil
            row.failedAt = nil
            row.snoozedSince = nil
            row.workerDeaths = 0
            if !row.leaseIsOpen {
                row.workerID = nil
                row.heartbeatAt = nil
                row.leaseToken = nil
            }
        }
        self[job] = row
        return true
    }
}
