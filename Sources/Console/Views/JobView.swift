package import JobWorker
import Postgres
package import Terminal

/// One job with everything about it.
package struct JobView: View {
    private let job: JobRecord
    private let logs: [JobLogRecord]

    package init(_ job: JobRecord, logs: [JobLogRecord]) {
        self.job = job
        self.logs = logs
    }

    package var json: JSON { .object([("job", job.json), ("logs", .array(logs.map(\.json)))]) }

    package func text(for screen: Screen) -> String {
        let palette = screen.palette
        let summary = job.summary
        let status = JobWords.status(summary)
        var text = "\(palette.paint(summary.id.text, .strong))  \(palette.paint(status.text, status.tone))\n\n"
        let width = facts.reduce(0) { max($0, $1.name.count) }
        for fact in facts {
            let padding = String(repeating: " ", count: width - fact.name.count + 2)
            text += "  \(palette.paint(fact.name, .faint))\(padding)\(fact.value.oneLine)\n"
        }
        text += section("Payload", JSON.indented(job.payload.text), palette)
        if let result = job.result { text += section("Result", JSON.indented(result.text), palette) }
        if let message = job.errorMessage { text += section("Error", message, palette) }
        if let stack = job.errorStack { text += section("Causes", stack, palette) }
        if !logs.isEmpty {
            text += "\n\(palette.paint("Log", .strong))\n"
            for row in logs { text += "  " + LogLine(row).text(for: screen) }
        }
        return text
    }

    private var facts: [(name: String, value: String)] {
        let summary = job.summary
        let now = summary.asOf
        var facts: [(name: String, value: String)] = []
        func add(_ name: String, _ value: String?) {
            if let value, !value.isEmpty { facts.append((name, value)) }
        }
        func add(_ name: String, _ time: Timestamp?) { add(name, time.map { "\($0.clock) (\($0.ago(now)))" }) }

        add("type", summary.type)
        add("workspace", summary.workspaceID?.text ?? "none: no worker touches it")
        add("queue", "\(summary.queue), priority \(summary.priority)")
        if !summary.isFinal { add("state", JobWords.note(summary)) }
        add("attempts", "\(summary.attempts) of \(summary.maxAttempts)")
        add("added", summary.createdAt)
        add("scheduled for", summary.scheduledFor)
        add("next try", summary.nextRetryAt)
        add("snoozed since", job.snoozedSince)
        add("started", summary.startedAt)
        add("ended", summary.completedAt)
        if let start = summary.startedAt, let end = summary.completedAt, end >= start {
            add("took", end.duration(since: start).words)
        }
        add("worker", summary.workerID)
        if summary.known == .processing { add("last heard of", job.workerHeartbeatAt) }
        if summary.known != .processing, job.leaseOpen { add("run", "its last run hasn't ended yet") }
        if job.workerDeaths > 0 { add("worker deaths", String(job.workerDeaths)) }
        add("time-out", job.timeoutSeconds.map { Duration.seconds($0).words })
        add("unique key", job.uniqueKey)
        add("replay of", job.replayOf?.text)
        add("workflow", job.workflowID?.text)
        add("schedule", job.scheduleID?.text)
        add(
            "added by",
            [job.createdBy.map { "user \($0.text)" }, job.insertedBy.map { "role \($0)" }]
                .compactMap(\.self).joined(separator: ", "))
        return facts
    }

    private func section(_ title: String, _ body: String, _ palette: Palette) -> String {
        let lines = body.manyLines.split(separator: "\n", omittingEmptySubsequences: false)
        return "\n\(palette.paint(title, .strong))\n" + lines.map { "  \($0)\n" }.joined()
    }
}
