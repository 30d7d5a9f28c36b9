public import FoundationEssentials
public import Logging

/// What an attempt can do besides its work: tell progress, write log rows, know its deadline, add jobs.
public struct JobContext: Sendable {
    /// When the attempt is stopped, by the process's own clock.
    public let deadline: ContinuousClock.Instant
    /// Carries the job's id, type, workspace and attempt on every line. In the daemon they come to a line when it is
    /// written, from the handler's metadata provider: the logger itself doesn't show them, and what a processor puts
    /// under the same names yields to them.
    public let logger: Logger
    /// The token of the attempt's lease; `nil` where nobody claimed the job.
    package let lease: Int64?
    private let reporter: any JobReporter

    public init(deadline: ContinuousClock.Instant, logger: Logger, reporter: any JobReporter) {
        self.init(deadline: deadline, logger: logger, lease: nil, reporter: reporter)
    }

    package init(deadline: ContinuousClock.Instant, logger: Logger, lease: Int64?, reporter: any JobReporter) {
        self.lease = lease
        self.deadline = deadline
        self.logger = logger
        self.reporter = reporter
    }

    /// How long the attempt may still take; negative once it is over its time.
    public var timeLeft: Duration { deadline - .now }

    /// The attempt is to end: the job was cancelled, is over its time or lost to another worker, or the worker stops.
    public var isCancelled: Bool { Task.isCancelled }

    /// For loops that await nothing.
    /// - Throws: `CancellationError` when the attempt is to end.
    public func checkCancellation() throws { try Task.checkCancellation() }

    /// Stores progress, which members see as a bar and a line.
    ///
    /// - Parameters:
    ///   - percentage: 0…100, cut to it; it never falls within an attempt.
    ///   - message: What is being done, in a few words.
    ///   - details: Whole numbers shown beside it, such as `total`, `processed`, `failed`.
    /// - Throws: `CancellationError` when this attempt no longer owns the job.
    public func progress(_ percentage: Int, _ message: String, details: [String: Int] = [:]) async throws {
        try await reporter.report(
            JobProgress(percentage: min(100, max(0, percentage)), message: message, details: details))
    }

    /// Adds a row to `job_logs`, which members can read: ids, no secrets, no personal data.
    ///
    /// - Throws: `CancellationError` when this attempt no longer owns the job.
    public func log(
        _ level: JobLogLevel, _ message: String, metadata: [String: JSONValue] = [:]
    ) async throws {
        try await reporter.log(JobLogEntry(level: level, message: message, metadata: metadata))
    }

    /// Adds jobs, all or none: to this job's workflow, if it has one, and to its workspace. They have no more rights than
    /// this job, and may wait for it by its id.
    ///
    /// An attempt that is repeated adds them again; a `uniqueKey` prevents that.
    /// - Returns: Their ids, in the order given.
    /// - Throws: `CancellationError` when this attempt no longer owns the job, and then nothing was added;
    ///   `JobFailure` where the database refuses what they are to be.
    @discardableResult
    public func enqueue(_ jobs: [LinkedJob]) async throws -> [UUID] {
        try await reporter.enqueue(jobs)
    }
}

extension JobContext {
    /// Adds a job to this job's workspace; `enqueue(_:)` of `LinkedJob` says what holds for it.
    /// - Parameters:
    ///   - jobType: The value of `jobs.job_type`.
    ///   - payload: Stored as JSON.
    ///   - uniqueKey: While a job of this type with the same key waits or runs, no other is added.
    /// - Returns: Its id.
    @discardableResult
    public func enqueue(_ jobType: String, payload: some Encodable, uniqueKey: String? = nil) async throws -> UUID {
        let job = LinkedJob(type: jobType, payload: try JSONText(encoding: payload), uniqueKey: uniqueKey)
        guard let id = try await enqueue([job]).first else {
            throw JobFailure.retryable("The database added no job of the type '\(jobType)'")
        }
        return id
    }
}

/// Where an attempt's progress and log rows go: the database, or a test's record.
public protocol JobReporter: Sendable {
    func report(_ progress: JobProgress) async throws
    func log(_ entry: JobLogEntry) async throws
    /// - Returns: The ids, in the order given.
    func enqueue(_ jobs: [LinkedJob]) async throws -> [UUID]
}

extension JobReporter {
    public func enqueue(_ jobs: [LinkedJob]) async throws -> [UUID] {
        throw JobFailure.permanent("Jobs can't be added from here")
    }
}

/// How far an attempt has come.
public struct JobProgress: Sendable, Hashable {
    public let percentage: Int
    public let message: String
    public let details: [String: Int]

    public init(percentage: Int, message: String, details: [String: Int] = [:]) {
        self.percentage = percentage
        self.message = message
        self.details = details
    }

    /// As `jobs.progress` holds it.
    public var json: JSONValue {
        var members = details.mapValues { JSONValue.integer(Int64($0)) }
        members["percentage"] = .integer(Int64(percentage))
        members["message"] = .string(message)
        return .object(members)
    }
}

/// A row for `job_logs`.
public struct JobLogEntry: Sendable, Hashable {
    public let level: JobLogLevel
    public let message: String
    public let metadata: [String: JSONValue]

    public init(level: JobLogLevel, message: String, metadata: [String: JSONValue] = [:]) {
        self.level = level
        self.message = message
        self.metadata = metadata
    }
}
