import JobWorker

/// Caps and limits that let nothing start, or say what another says more narrowly.
enum RulesCheck {
    /// - Returns: Nothing where there are no rules, or none of them is odd.
    static func findings(_ queues: [QueueStatus], _ limits: [JobLimitStatus]) -> [Finding] {
        var findings: [Finding] = []
        let shut = queues.filter { $0.maxRunning == 0 }
        if !shut.isEmpty {
            findings.append(
                .warn(
                    "queues", "set to run no job: \(listed(shut.map(\.name)))",
                    advice: "'jobworker queues set NAME --max-running none' lets them go; to hold them, pause them."))
        }
        let closed = limits.filter { $0.limit.maxRunning == 0 }
        if !closed.isEmpty {
            findings.append(
                .warn(
                    "limits", "let no job run: \(listed(closed.map(\.limit.name)))",
                    advice: "'jobworker limits remove NAME' lets the jobs go."))
        }
        let unreachable = limits.filter { wide in
            guard let most = wide.limit.maxRunning, wide.limit.rate == nil else { return false }
            return limits.contains { narrow in
                narrow.limit.name != wide.limit.name && narrow.limit.jobType == wide.limit.jobType
                    && narrow.limit.workspaceID == nil && !narrow.limit.isForEachWorkspace
                    && (narrow.limit.maxRunning ?? .max) < most
            }
        }
        if !unreachable.isEmpty {
            findings.append(
                .warn(
                    "limits", "never reached, as another is narrower: \(listed(unreachable.map(\.limit.name)))",
                    advice: "Remove them, or the narrower one."))
        }
        return findings
    }
}
