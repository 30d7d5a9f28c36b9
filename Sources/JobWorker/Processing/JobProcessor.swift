/// Runs jobs of one or several types.
///
/// A job may run again after a crash: make effects idempotent, with `job.id` as the key. Cancellation
/// (of the task, as usual in Swift) means that the job was cancelled, timed out, lost to another worker,
/// or that the worker is stopping: end soon, by throwing.
public protocol JobProcessor: Sendable {
    /// The values of `jobs.job_type` that are claimed for it.
    var jobTypes: [String] { get }

    /// What holds for all of them; nothing in particular by default.
    var terms: ProcessorTerms { get }

    /// Runs one attempt.
    /// - Returns: The job's result, stored in `jobs.result`; `nil` for none.
    /// - Throws: `JobFailure` to say what is to follow; anything else is tried again.
    func process(_ job: Job, context: JobContext) async throws -> JSONText?
}

extension JobProcessor {
    public var terms: ProcessorTerms { ProcessorTerms() }
}

/// What holds for the attempts of a processor.
public struct ProcessorTerms: Sendable, Hashable {
    /// Longest time of an attempt, unless its job says otherwise; `nil` for the worker's limit.
    public var timeout: Duration?
    /// Most attempts of each of its types at once in one process; `nil` for as many as there are slots.
    public var maxConcurrent: Int?
    /// Jobs that a member of a workspace inserted fail for good before they start.
    public var isForOperatorsOnly: Bool

    public init(timeout: Duration? = nil, maxConcurrent: Int? = nil, isForOperatorsOnly: Bool = false) {
        self.timeout = timeout
        self.maxConcurrent = maxConcurrent
        self.isForOperatorsOnly = isForOperatorsOnly
    }
}
