package import JobWorker

extension JobsTable {
    private static let day = 24 * 3600 * 1000

    /// `/* jobworker:complete */` of one run: the tables `completed`, and what was stored before by the same claim.
    package mutating func complete(_ claim: Held, now: Time) -> Bool {
        guard var row = self[claim.job], row.leaseToken == claim.token else { return false }
        if row.status == .completed { return true }
        guard row.status == .processing else { return false }
        row.status = .completed
        row.completedAt = now
        row.leaseIsOpen = false
        row.workerDeaths = 0
        row.snoozedSince = nil
        self[claim.job] = row
        return true
    }

    /// `/* jobworker:settle */` of one run: the tables `ended`, `judged` and `settled`.
    package mutating func settle(
        _ claim: Held, kind: Settlement.Kind, delay: Time, retryDelay: Time, now: Time
    ) -> Verdict? {
        guard var row = self[claim.job], row.leaseToken == claim.token else { return nil }
        guard row.status == .processing else { return verdictOfEarlierCall(row, kind) }
        let sleptEnough = kind == .snooze && row.snoozedSince ?? now < now - JobsTable.day
        let verdict: Verdict =
            if kind == .release {
                .released
            } else if kind == .snooze, !sleptEnough {
                .snoozed
            } else if kind == .fail || row.attempts >= row.maxAttempts {
                .failed
            } else {
                .retried
            }
        let wait = sleptEnough ? retryDelay : delay
        row.status = verdict == .failed ? .failed : .pending
        if verdict == .snoozed || verdict == .released { row.attempts -= 1 }
        row.failedAt = verdict == .failed ? now : nil
        row.completedAt = row.failedAt
        row.nextRetryAt = verdict == .retried || verdict == .snoozed ? now + wait : nil
        switch verdict {
        case .snoozed: row.snoozedSince = row.snoozedSince ?? now
        case .released: break
        case .retried, .failed: row.snoozedSince = nil
        }
        if verdict != .released { row.workerDeaths = 0 }
        row.leaseIsOpen = false
        self[claim.job] = row
        return verdict
    }

    private func verdictOfEarlierCall(_ row: Row, _ kind: Settlement.Kind) -> Verdict? {
        guard [.pending, .failed].contains(row.status), !row.leaseIsOpen, row.workerDeaths == 0 else { return nil }
        if row.status == .failed { return .failed }
        switch kind {
        case .release: return .released
        case .snooze where row.snoozedSince != nil: return .snoozed
        case .retry, .fail, .snooze: return .retried
        }
    }

    /// `/* jobworker:end_runs */`.
    package mutating func endRuns(_ claims: [Held]) {
        for claim in claims {
            guard var row = self[claim.job], row.leaseToken == claim.token, row.leaseIsOpen, row.status != .processing
            else { continue }
            row.leaseIsOpen = false
            self[claim.job] = row
        }
    }
}
