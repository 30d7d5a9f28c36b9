import ControlPlane
import FoundationEssentials
import HTTPClient
import JobWorker
import Postgres

/// A worker of this machine, asked through its socket with an operator's token: for people who have no access to the
/// database.
struct SocketSource: JobSource {
    private let socketPath: String
    private let token: String
    private let reason: String?
    private let client = Client()
    /// The most that the interface gives at once.
    private static let pageMax = 200
    private static let logPageMax = 1000

    /// - Parameter reason: Why the person changes something; kept in the audit.
    init(socketPath: String, token: String, reason: String?) {
        self.socketPath = socketPath
        self.token = token
        self.reason = reason
    }

    // MARK: Jobs

    func jobs(_ filter: JobFilter, after cursor: JobCursor?, limit: Int) async throws -> JobPage {
        var jobs: [JobSummary] = []
        var next = cursor
        repeat {
            var query = Self.query(filter)
            query.append(("limit", String(min(limit - jobs.count, Self.pageMax))))
            if let next { query.append(("cursor", next.text)) }
            let document = try await get("/api/jobs", query)
            jobs += try (document["jobs"]?.elements ?? []).map { try $0.jobSummary() }
            next = document["next_cursor"]?.string.flatMap { JobCursor(text: $0) }
        } while next != nil && jobs.count < limit
        return JobPage(jobs: jobs, next: next)
    }

    func count(_ filter: JobFilter) async throws -> Int {
        let document = try await get("/api/jobs", Self.query(filter) + [("limit", "1"), ("page", "1")])
        return document["pagination"]?["total"]?.whole ?? 0
    }

    func jobs(withIDs ids: [UUID]) async throws -> [JobSummary] {
        var jobs: [JobSummary] = []
        for id in ids { if let job = try await job(withID: id) { jobs.append(job.summary) } }
        return jobs
    }

    func job(withID id: UUID) async throws -> JobRecord? {
        do {
            return try await get("/api/jobs/\(id.text)")["job"]?.jobRecord()
        } catch let error as Answer where error.status == 404 { return nil }
    }

    func lastLogs(of job: UUID, level: JobLogLevel, limit: Int) async throws -> [JobLogRecord] {
        guard limit > 0 else { return [] }
        do {
            let rows = try await get("/api/jobs/\(job.text)")["logs"]?.elements ?? []
            return Array(
                try rows.map { try $0.logRecord() }
                    .filter { (JobLogLevel(text: $0.level) ?? .info) >= level }.suffix(limit))
        } catch let error as Answer where error.status == 404 { return [] }
    }

    func logs(
        of job: UUID, after cursor: JobLogCursor, level: JobLogLevel, limit: Int
    ) async throws -> [JobLogRecord] {
        let start = cursor.createdAt == .distantPast ? "0.0" : "\(cursor.createdAt.microseconds).\(cursor.seq)"
        let document = try await get(
            "/api/jobs/\(job.text)/logs",
            [("cursor", start), ("level", level.rawValue), ("limit", String(min(limit, Self.logPageMax)))])
        return try (document["logs"]?.elements ?? []).map { try $0.logRecord() }
    }

    func change(_ job: UUID, _ action: JobChanging.Action) async throws -> JobSummary {
        do {
            switch action {
            case .cancel: return try await post("/api/jobs/\(job.text)/cancel").jobSummary()
            case .retry: return try await post("/api/jobs/\(job.text)/retry").jobSummary()
            case .delete:
                guard let found = try await self.job(withID: job) else { throw JobChangeRefusal.notFound(job) }
                let why = reason.map { "?\(encodeQuery([("reason", $0)]))" } ?? ""
                _ = try await send("DELETE", "/api/jobs/\(job.text)\(why)")
                return found.summary
            }
        } catch let error as Answer {
            switch error.status {
            case 404: throw JobChangeRefusal.notFound(job)
            case 409: throw JobChangeRefusal.conflict(error.message)
            default: throw error
            }
        }
    }

    // MARK: What runs them

    func queues() async throws -> [QueueStatus] {
        let now = Self.now
        return try (try await get("/api/queues")["queues"]?.elements ?? []).map { try $0.queueStatus(asOf: now) }
    }

    func setPaused(_ isPaused: Bool, queue: String) async throws -> Bool {
        let wasPaused = try await queues().first { $0.name == queue }?.pausedAt != nil
        _ = try await post("/api/queues/\(percentEncode(queue))/\(isPaused ? "pause" : "resume")")
        return wasPaused != isPaused
    }

    func workers() async throws -> [WorkerStatus] {
        let now = Self.now
        return try (try await get("/api/workers")["workers"]?.elements ?? []).map { try $0.workerStatus(asOf: now) }
    }

    func statistics(workspaceID: UUID?) async throws -> StatisticsView {
        let query = workspaceID.map { [("workspace_id", $0.text)] } ?? []
        let statistics = try await get("/api/jobs/stats", query).statistics()
        guard workspaceID == nil else { return StatisticsView(statistics, queues: [], unserved: []) }
        return StatisticsView(statistics, queues: try await queues(), unserved: nil)
    }

    // MARK: Asking

    /// What a worker answered instead of what was asked for.
    struct Answer: Error {
        let status: Int
        let message: String
    }

    private func get(_ path: String, _ query: [(String, String)] = []) async throws -> JSONNode {
        try await send("GET", query.isEmpty ? path : "\(path)?\(encodeQuery(query))")
    }

    private func post(_ path: String) async throws -> JSONNode {
        try await send("POST", path, body: try reason.map { Array(try JSONEncoder().encode(["reason": $0])) })
    }

    private func send(_ method: String, _ path: String, body: [UInt8]? = nil) async throws -> JSONNode {
        var headers = [(name: "Authorization", value: "Bearer \(token)")]
        if body != nil { headers.append((name: "Content-Type", value: "application/json")) }
        let response: Response
        do {
            response = try await client.send(
                Request(
                    method: method, url: "http://localhost\(path)", headers: headers, body: body,
                    maxResponseBytes: 64 * 1024 * 1024, unixSocketPath: socketPath))
        } catch let error as HTTPError {
            throw Complaint(
                .unreachable, "no worker answers at \(socketPath): \(error)",
                advice: "Start one, or set DATABASE_URL to ask the database itself.")
        }
        let document = JSONNode(parsing: response.body)
        switch response.status {
        case 200..<300:
            guard let document else { throw Complaint(.failed, "\(socketPath) answers with something that isn't JSON") }
            return document
        case 401, 403:
            throw Complaint(
                .refused, "the worker at \(socketPath) doesn't take this token",
                advice: "Set WORKER_SECRET_TOKEN to an operator's token of that worker.")
        default:
            throw Answer(
                status: response.status, message: document?["error"]?.string ?? "the worker answers \(response.status)")
        }
    }

    /// Ages are turned into times here: the interface takes no others.
    private static func query(_ filter: JobFilter) -> [(String, String)] {
        var query: [(String, String)] = []
        func add(_ name: String, _ value: String?) { if let value { query.append((name, value)) } }
        func add(_ name: String, _ values: [String]) { if !values.isEmpty { add(name, values.joined(separator: ",")) } }
        add("workspace_id", filter.workspaceID?.text)
        add("status", filter.statuses.map(\.rawValue))
        add("job_type", filter.types)
        add("job_queue", filter.queues)
        add("priority", filter.priority.map { String($0) })
        add("worker_id", filter.workerID)
        add("unique_key", filter.uniqueKey)
        add("q", filter.search)
        let earliest = [filter.since, filter.newerThan.map { now.advanced(by: .zero - $0) }].compactMap(\.self).max()
        let latest = [filter.until, filter.olderThan.map { now.advanced(by: .zero - $0) }].compactMap(\.self).min()
        add("since", earliest?.text(fractionDigits: 6))
        add("until", latest?.text(fractionDigits: 6))
        return query
    }

    /// This machine's clock, which is the worker's.
    private static var now: Timestamp {
        Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
    }
}

// MARK: - Reading answers

extension JSONNode {
    private struct Unreadable: Error, CustomStringConvertible {
        let name: String
        var description: String { "the worker's answer lacks '\(name)', or has it in another form" }
    }

    private func text(_ name: String) throws -> String {
        guard let text = self[name]?.string else { throw Unreadable(name: name) }
        return text
    }

    private func whole(_ name: String) throws -> Int {
        guard let number = self[name]?.whole else { throw Unreadable(name: name) }
        return number
    }

    private func id(_ name: String) throws -> UUID {
        guard let id = UUID(uuidString: try text(name)) else { throw Unreadable(name: name) }
        return id
    }

    private func moment(_ name: String) -> Timestamp? { self[name]?.string.flatMap { Timestamp(text: $0) } }

    private func uuid(_ name: String) -> UUID? { self[name]?.string.flatMap { UUID(uuidString: $0) } }

    private func words(_ name: String) -> [String] { self[name]?.elements?.compactMap(\.string) ?? [] }

    private func number(_ name: String) -> Double? {
        if case .number(let digits)? = self[name] { Double(digits) } else { nil }
    }

    private func json(_ name: String) -> JSONText? {
        self[name].flatMap { $0.isNull ? nil : JSONText($0.text) }
    }

    func jobSummary() throws -> JobSummary {
        let now = Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
        var job = JobSummary(id: try id("id"), type: try text("job_type"), status: nil, asOf: now)
        job.status = self["status"]?.string
        job.workspaceID = uuid("workspace_id")
        job.queue = try text("job_queue")
        job.priority = try whole("priority")
        job.attempts = try whole("attempts")
        job.maxAttempts = try whole("max_attempts")
        job.percentage = self["progress"]?.number("percentage")
        job.progressMessage = self["progress"]?["message"]?.string
        job.errorMessage = (self["error_message"]?.string?.prefix(1000)).map { String($0) }
        job.createdAt = moment("created_at")
        job.scheduledFor = moment("scheduled_for")
        job.nextRetryAt = moment("next_retry_at")
        job.dueAt = [job.createdAt, job.scheduledFor, job.nextRetryAt].compactMap(\.self).max()
        job.startedAt = moment("started_at")
        job.completedAt = moment("completed_at")
        job.workerID = self["worker_id"]?.string
        return job
    }

    func jobRecord() throws -> JobRecord {
        var job = JobRecord(summary: try jobSummary(), payload: json("payload") ?? JSONText("null"))
        job.progress = json("progress")
        job.result = json("result")
        job.errorMessage = self["error_message"]?.string
        job.errorStack = self["error_stack"]?.string
        job.failedAt = moment("failed_at")
        job.retryDelaySeconds = self["retry_delay_seconds"]?.whole
        job.workerHeartbeatAt = moment("worker_heartbeat_at")
        job.createdBy = uuid("created_by")
        job.timeoutSeconds = self["timeout_seconds"]?.whole
        job.uniqueKey = self["unique_key"]?.string
        job.workflowID = uuid("workflow_id")
        job.scheduleID = uuid("schedule_id")
        job.replayOf = uuid("replay_of")
        job.snoozedSince = moment("snoozed_since")
        job.workerDeaths = try whole("worker_deaths")
        job.insertedBy = self["inserted_by"]?.string
        job.workflowStep = self["workflow_step"]?.string
        job.hasDependents = self["dependents"] == true
        job.blockers = self["blockers"]?.whole
        job.cancelledFor = uuid("cancelled_for")
        return job
    }

    func logRecord() throws -> JobLogRecord {
        JobLogRecord(
            id: try id("id"), storedLevel: try text("log_level"), message: try text("message"),
            metadata: json("metadata"), createdAt: moment("created_at"), seq: try whole("seq"))
    }

    func queueStatus(asOf: Timestamp) throws -> QueueStatus {
        QueueStatus(
            name: try text("name"), depth: try whole("depth"), due: try whole("due"),
            oldestDueAt: moment("oldest_due_at"), processing: try whole("processing"), pausedAt: moment("paused_at"),
            pausedBy: self["paused_by"]?.string, maxRunning: self["max_running"]?.whole,
            weight: self["weight"]?.whole ?? 1,
            ageing: self["ageing_seconds"]?.whole.map { .seconds($0) }, isFair: self["fair"] == .bool(true), asOf: asOf)
    }

    func workerStatus(asOf: Timestamp) throws -> WorkerStatus {
        guard let state = WorkerStatus.State(rawValue: try text("state")), let startedAt = moment("started_at"),
            let seenAt = moment("seen_at")
        else { throw Unreadable(name: "state") }
        return WorkerStatus(
            id: try text("id"), instance: try text("instance"), host: try text("host"), pid: self["pid"]?.whole,
            version: self["version"]?.string, queues: words("queues"), jobTypes: words("job_types"),
            running: try whole("running"), maxConcurrent: self["max_concurrent"]?.whole, startedAt: startedAt,
            seenAt: seenAt, state: state, asOf: asOf)
    }

    func statistics() throws -> JobStatistics {
        var statistics = JobStatistics()
        if case .object(let members)? = self["statuses"] {
            for member in members { statistics.statuses[member.name] = member.value.whole }
        }
        func duration(_ name: String) -> Duration? { number(name).map { .milliseconds($0) } }
        statistics.completedLastHour = try whole("completed_last_hour")
        statistics.failedLastHour = try whole("failed_last_hour")
        statistics.failedLastDay = try whole("failed_last_day")
        statistics.slowLastDay = try whole("slow_last_day")
        statistics.averageDuration = duration("average_duration_ms")
        statistics.durationP50 = duration("p50_duration_ms")
        statistics.durationP95 = duration("p95_duration_ms")
        statistics.durationP99 = duration("p99_duration_ms")
        statistics.asOf = moment("timestamp") ?? .distantPast
        return statistics
    }
}
