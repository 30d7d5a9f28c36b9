/// Every figure the program exposes, declared once: name, kind, labels and what it tells. The Prometheus text, the
/// documentation and the tests are made from it or checked against it.
package enum MetricCatalog {
    package enum Kind: String, Sendable, Hashable {
        case counter, gauge, histogram
    }

    package struct Metric: Sendable, Hashable {
        package let name: String
        package let kind: Kind
        package let labels: [String]
        package let help: String
        /// Upper bounds in seconds, ascending; empty unless it is a histogram.
        package let buckets: [Double]

        init(_ name: String, _ kind: Kind, labels: [String] = [], buckets: [Double] = [], _ help: String) {
            self.name = name
            self.kind = kind
            self.labels = labels
            self.buckets = buckets
            self.help = help
        }
    }

    package static let jobs = Metric(
        "jobworker_jobs_total", .counter, labels: ["queue", "job_type", "outcome"],
        "Attempts that ended here: completed, retried, failed, cancelled, released, snoozed or fenced.")
    package static let duration = Metric(
        "jobworker_job_duration_seconds", .histogram, labels: ["queue", "job_type"],
        buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900],
        "Time from the start of an attempt until its outcome was stored.")
    package static let wait = Metric(
        "jobworker_job_wait_seconds", .histogram, labels: ["queue", "job_type"],
        buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600],
        "Time from when a job became due until its attempt started, by the database's clock.")
    package static let running = Metric("jobworker_jobs_running", .gauge, "Jobs that run in this process now.")
    package static let maxConcurrent = Metric(
        "jobworker_max_concurrent", .gauge, "Most jobs that may run in this process at once.")
    package static let queueDepth = Metric(
        "jobworker_queue_depth", .gauge, labels: ["queue", "status"],
        "Jobs in the database that haven't ended, by queue and status.")
    package static let oldestDue = Metric(
        "jobworker_oldest_due_seconds", .gauge, labels: ["queue"],
        "For how long the oldest due job of a queue has been waiting; 0 where none is due.")
    package static let polls = Metric(
        "jobworker_polls_total", .counter, labels: ["reason"],
        "Looks at the queue: by timer, on request, or because something woke the worker.")
    package static let reaped = Metric(
        "jobworker_reaped_total", .counter, "Jobs this process took back from workers that fell silent.")
    package static let scheduleTicks = Metric(
        "jobworker_schedule_ticks_total", .counter, labels: ["outcome"],
        "Ticks of schedules that this process saw to: made a job, skipped as an earlier one hadn't ended, or failed.")
    package static let webhookDeliveries = Metric(
        "jobworker_webhook_deliveries_total", .counter, labels: ["outcome"],
        "Tries of this process to deliver an event: delivered, retried (another follows), failed, or fenced as another "
            + "process had taken over.")
    package static let alerts = Metric(
        "jobworker_alerts_total", .counter, labels: ["rule", "event"],
        "Alerts that this process raised, or found resolved, for all workers.")
    package static let openAlerts = Metric(
        "jobworker_alerts_open", .gauge, labels: ["rule"], "Situations that administrators are alerted to now.")
    package static let heldByLimits = Metric(
        "jobworker_limit_held_jobs", .gauge, labels: ["limit"],
        "Due jobs that a limit keeps from starting, as it has no room now.")
    package static let unserved = Metric(
        "jobworker_unserved_jobs", .gauge, labels: ["job_type"], "Pending jobs whose type no live worker serves.")
    package static let databaseErrors = Metric(
        "jobworker_database_errors_total", .counter, "Polls and heartbeats that the database failed to answer.")
    package static let databaseConnected = Metric(
        "jobworker_database_connected", .gauge, "1 while the database answers, 0 while it doesn't.")
    package static let apolloRequests = Metric(
        "jobworker_apollo_requests_total", .counter, labels: ["status"],
        "Requests to Apollo.io, by the status of the answer or a word for why there was none.")
    package static let suppressedLines = Metric(
        "jobworker_log_messages_suppressed_total", .counter, labels: ["level"],
        "Lines of the log that were left out as too many of their kind came or nobody read them; counted when the log tells of them."
    )
    package static let statsdDropped = Metric(
        "jobworker_statsd_datagrams_dropped_total", .counter,
        "Datagrams of figures for DogStatsD that were not sent, or that nobody took.")
    package static let buildInfo = Metric(
        "jobworker_build_info", .gauge, labels: ["version"], "Always 1; tells the program's version.")

    /// All of them, in the order in which they are shown.
    package static let all: [Metric] = [
        jobs, duration, wait, running, maxConcurrent, queueDepth, oldestDue, polls, reaped, scheduleTicks,
        webhookDeliveries, alerts, openAlerts, heldByLimits, unserved, databaseErrors, databaseConnected,
        apolloRequests, suppressedLines, statsdDropped,
        buildInfo,
    ]
}
