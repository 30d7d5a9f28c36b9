import JobWorker
import Postgres

enum WorkCheck {
    static func finding(_ workers: [WorkerStatus]) -> Finding {
        let alive = workers.filter { $0.state == .alive }
        guard alive.isEmpty else {
            let running = alive.reduce(0) { $0 + $1.running }
            return .ok("workers", "\(counted(alive.count, "worker")) alive, \(counted(running, "job")) running")
        }
        return .warn(
            "workers", "none is alive: no job runs",
            advice: "Start one: systemctl start jobworker, or 'jobworker run'.")
    }

    static func findings(_ unserved: [UnservedType], now: Timestamp) -> [Finding] {
        guard !unserved.isEmpty else { return [.ok("job types", "every pending job has a worker for it")] }
        return unserved.prefix(10).map { entry in
            let age = entry.oldest.map { now.duration(since: $0).components.seconds } ?? 0
            let wait = age > 0 ? ", the oldest due for \(age >= 120 ? "\(age / 60) min" : "\(age) s")" : ""
            return .warn(
                "job types",
                "\(counted(entry.count, "pending job")) of type '\(entry.type)' in queue '\(entry.queue)'\(wait), and no "
                    + "live worker serves that",
                advice: "Start a worker that does (WORKER_QUEUES, WORKER_HANDLERS), or cancel them. "
                    + "Leave them if the application runs this type itself.")
        }
    }

    static func findings(_ odd: OddJobs) -> [Finding] {
        var findings: [Finding] = []
        func add(_ count: Int, _ what: String) {
            guard count > 0 else { return }
            findings.append(
                .warn(
                    "odd jobs", "\(counted(count, "job")) \(what): never run, changed or deleted by a worker",
                    advice: "Give them a workspace and a status, or delete them, by SQL."))
        }
        add(odd.withoutWorkspace, "without a workspace")
        add(odd.withoutStatus, "without a status")
        add(odd.withUnknownStatus, "with a status no one knows (\(listed(odd.unknownStatuses)))")
        return findings.isEmpty ? [.ok("odd jobs", "none")] : findings
    }
}
