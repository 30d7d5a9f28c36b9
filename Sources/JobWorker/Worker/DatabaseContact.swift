import Postgres

/// What polls and heartbeats tell of the database, and what follows from it.
extension WorkerState.Snapshot {
    /// The database answered.
    /// - Returns: Whether it had been lost before.
    mutating func answered(now: ContinuousClock.Instant) -> Bool {
        let wasAway = databaseError != nil
        isConnected = true
        disconnectedSince = nil
        databaseError = nil
        undisturbedSince = undisturbedSince ?? now
        return wasAway
    }

    /// The database failed to answer.
    /// - Returns: Whether that is news.
    mutating func failed(_ error: String, now: ContinuousClock.Instant) -> Bool {
        let isNews = databaseError == nil
        hasLostDatabase = hasLostDatabase || lastPollAt != nil
        isConnected = false
        disconnectedSince = disconnectedSince ?? now
        databaseError = error
        undisturbedSince = nil
        return isNews
    }

    /// A poll was answered at `now`, having been sent at `askedAt`.
    mutating func polled(
        at databaseTime: Timestamp, serverStartedAt: Timestamp, askedAt: ContinuousClock.Instant,
        _ configuration: WorkerConfiguration, now: ContinuousClock.Instant
    ) {
        if hasSlept(configuration, now: askedAt) {
            undisturbedSince = now
            hasLostDatabase = true
        }
        lastPollAt = databaseTime
        serverAge = databaseTime.duration(since: serverStartedAt)
        lastPollInstant = now
        databaseLatency = now - askedAt
    }

    /// Whether silent workers may be taken for dead.
    ///
    /// Nobody could tell that they live while the database was away: give them the time of a lease after it.
    /// A worker that has just begun doesn't know what was; it waits for others to beat.
    func mayReap(_ configuration: WorkerConfiguration, now: ContinuousClock.Instant) -> Bool {
        let staleAfter = configuration.staleAfter
        guard let undisturbedSince, let serverAge, serverAge >= staleAfter, !hasSlept(configuration, now: now) else {
            return false
        }
        let wait = hasLostDatabase ? staleAfter : configuration.heartbeatInterval * 2
        return undisturbedSince + wait <= now
    }

    /// Whether polls have been missing for so long, as after a suspension of this process, that the database may
    /// have been away without it noticing.
    private func hasSlept(_ configuration: WorkerConfiguration, now: ContinuousClock.Instant) -> Bool {
        guard let lastPollInstant else { return false }
        return lastPollInstant + configuration.pollInterval + configuration.staleAfter / 2 < now
    }
}
