import JobWorker
import Postgres

enum WorkCheck {
    static func findings(_ workers: [WorkerStatus]) -> [Finding] {
        let alive = workers.filter { $0.state == .alive }
        var findings: [Finding] = []
        if alive.isEmpty {
            findings.append(
                .warn(
                    "workers", "none is alive: no job runs",
                    advice: "Start one: systemctl start jobworker, or 'jobworker run'."))
        } else {
            let running = alive.reduce(0) { $0 + $1.running }
            findings.append(
                .ok("workers", "\(counted(alive.count, "worker")) alive, \(counted(running, "job")) running"))
        }
        let silent = workers.filter { $0.state == .silent }
        if !silent.isEmpty {
            let held = silent.reduce(0) { $0 + $1.running }
            findings.append(
                .warn(
                    "workers",
                    "\(counted(silent.count, "worker")) fell silent without having stopped: "
                        + listed(silent.map { "\($0.id) (last seen \(age($0)) ago)" }, max: 2)
                        + (held > 0 ? "; \(counted(held, "job")) ran there" : ""),
                    advice:
                        "If it was killed or its machine is gone, others take its jobs back; its row goes after a day. "
                        + "If it still runs, look at its log."))
        }
        let twins = Dictionary(grouping: alive) { "\($0.instance) on \($0.host)" }.filter { $0.value.count > 1 }
        if !twins.isEmpty {
            findings.append(
                .warn(
                    "workers", "several workers have the same name: \(listed(twins.keys.sorted()))",
                    advice: "Give each a WORKER_INSTANCE of its own, or none takes its jobs back at once after a crash."
                ))
        }
        let versions = Set(alive.compactMap(\.version))
        if versions.count > 1 {
            findings.append(
                .warn(
                    "workers", "they are of different versions: \(listed(versions.sorted()))",
                    advice: "Fine while an update is under way; otherwise update the others."))
        }
        return findings
    }

    /// Job types that any active member of a workspace may add.
    static func openTypes(_ workers: [WorkerStatus]) -> [Finding] {
        let alive = workers.filter { $0.state == .alive }
        // Open where any worker takes them from members.
        let types = Set(alive.flatMap { Set($0.jobTypes).subtracting($0.operatorTypes) }).sorted()
        guard !types.isEmpty else { return [] }
        return [.ok("open types", "any member of a workspace may add jobs of: \(listed(types, max: 12))")]
    }

    private static func age(_ worker: WorkerStatus) -> String {
        let seconds = worker.asOf.duration(since: worker.seenAt).components.seconds
        return seconds < 120 ? "\(seconds) s" : seconds < 7200 ? "\(seconds / 60) min" : "\(seconds / 3600) h"
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
        add(odd.neverDue, "pending without any time, so never due")
        return findings.isEmpty ? [.ok("odd jobs", "none")] : findings
    }
}
