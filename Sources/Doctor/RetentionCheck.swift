import JobWorker
import Settings

/// Whether finished jobs go as they should.
enum RetentionCheck {
    private static let finishedMax = 1_000_000

    static func findings(_ census: JobCensus, _ retention: RetentionDays) -> [Finding] {
        var findings: [Finding] = []
        let limits = retention.byStatus
        for (status, days) in limits where days > 0 {
            guard let known = JobStatus(rawValue: status), let age = census.oldestFinished[known],
                // A day for a worker to come round to it.
                age > .seconds((days + 1) * 86_400)
            else { continue }
            findings.append(
                .warn(
                    "retention",
                    "\(status) jobs are to go after \(counted(days, "day")), the oldest has been there for "
                        + counted(Int(age.components.seconds / 86_400), "day"),
                    advice: "Is a worker with this WORKER_RETENTION_DAYS running, and does its log tell why not?"))
        }
        if census.finished > finishedMax, limits.allSatisfy({ $0.days == 0 }) {
            findings.append(
                .warn(
                    "retention", "\(census.finished) finished jobs, and none of them ever goes",
                    advice: "Set WORKER_RETENTION_DAYS, as completed:30,cancelled:30."))
        }
        guard findings.isEmpty else { return findings }
        let kept = limits.filter { $0.days > 0 }.map { "\($0.status) \(counted($0.days, "day"))" }
        return [
            .ok(
                "retention",
                "\(counted(census.finished, "finished job")), kept "
                    + (kept.isEmpty ? "for good" : "for: \(kept.joined(separator: ", "))"))
        ]
    }
}
