/// Runs jobs of one or several types.
///
/// A job may run again after a crash: make effects idempotent, with `job.id` as the key. Cancellation
/// (of the task, as usual in Swift) means that the job was cancelled, timed out, lost to another worker,
/// or that the worker is stopping: end soon, by throwing.
public protocol JobProcessor: Sendable {
    /// The values of `jobs.job_type` that are claimed for it.
    var jobTypes: [String] { get }

    /// Runs one attempt.
    /// - Returns: The job's result, stored in `jobs.result`; `nil` for none.
    /// - Throws: `JobFailure` to say what is to follow; anything else is tried again.
    func process(_ job: Job, context: JobContext) async throws -> JSONText?
}
