import FoundationEssentials
import Postgres
import Synchronization

/// Carries an attempt's progress and log rows to the database, fenced by its claim.
final class AttemptReporter: JobReporter {
    private let claim: Claim
    private let store: JobStore
    private let running: RunningJobs
    private let percentage = Mutex(0)
    private let rows = Mutex(0)
    /// Most log rows of one attempt; what comes after is dropped, the last row says so.
    static let rowLimit = 1000
    /// Longest message, in bytes.
    static let messageLimit = 8 * 1024

    init(claim: Claim, store: JobStore, running: RunningJobs) {
        self.claim = claim
        self.store = store
        self.running = running
    }

    func report(_ progress: JobProgress) async throws {
        let highest = percentage.withLock { highest in
            highest = max(highest, progress.percentage)
            return highest
        }
        let shown = JobProgress(
            percentage: highest, message: progress.message.cut(to: AttemptReporter.messageLimit),
            details: progress.details)
        let text = try JSONText(encoding: shown.json)
        try await keepClaim { () async throws(PostgresError) in try await self.store.setProgress(self.claim, text) }
    }

    func log(_ entry: JobLogEntry) async throws {
        let row = rows.withLock { rows in
            rows += 1
            return rows
        }
        guard row <= AttemptReporter.rowLimit else { return }
        let isLast = row == AttemptReporter.rowLimit
        let message = isLast ? "Too many log rows in this attempt; the rest is left out" : entry.message
        let metadata = entry.metadata.isEmpty ? nil : try JSONText(encoding: entry.metadata)
        try await keepClaim { () async throws(PostgresError) in
            try await self.store.addLog(
                self.claim, level: entry.level, message: message.cut(to: AttemptReporter.messageLimit),
                metadata: metadata)
        }
    }

    func enqueue(_ jobs: [LinkedJob]) async throws -> [UUID] {
        guard !jobs.isEmpty else { return [] }
        let (batch, description) = (UUID(), try LinkedJob.list(jobs))
        var ids: [UUID] = []
        try await keepClaim { () async throws(PostgresError) in
            let added: [UUID]?
            do throws(PostgresError) {
                added = try await self.store.add(description, from: self.claim, batch: batch)
            } catch  where error.reason == .connectionLost {
                // Added or not: the batch is known by its key.
                added = try await self.store.add(description, from: self.claim, batch: batch)
            }
            guard let added else { return .lost }
            ids = added
            return .held
        }
        return ids
    }

    private func keepClaim(_ write: () async throws(PostgresError) -> ClaimState) async throws {
        let state: ClaimState
        do throws(PostgresError) {
            state = try await write()
        } catch {
            // Told to stop amid the statement: whether it took effect makes no difference any more.
            if error.reason == .cancelled || Task.isCancelled { throw CancellationError() }
            if error.sqlState == "JW422" || error.sqlState == "JW409" {
                throw JobFailure.permanent("Jobs can't be added: \(error.message)")
            }
            throw error
        }
        switch state {
        case .held: return
        case .cancelled: running.stop([claim], because: .cancelled)
        case .lost: running.stop([claim], because: .lost)
        }
        throw CancellationError()
    }
}

extension String {
    /// At most `limit` bytes of UTF-8, with a mark where something is missing.
    func cut(to limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var end = utf8.index(startIndex, offsetBy: max(0, limit - 3))
        // Back to the start of a character.
        while end > startIndex, end.samePosition(in: unicodeScalars) == nil { end = utf8.index(before: end) }
        return String(self[..<end]) + "…"
    }
}
