package import FoundationEssentials

/// The right to run one attempt of a job, and to change the job while it lasts.
///
/// The token comes from a sequence and never repeats, so that two attempts by the same worker can be
/// told apart. Every change of a claimed job names it.
package struct Claim: Sendable, Hashable {
    package let jobID: UUID
    package let token: Int64

    package init(jobID: UUID, token: Int64) {
        self.jobID = jobID
        self.token = token
    }

    /// By the token alone, which never repeats.
    package func hash(into hasher: inout Hasher) { hasher.combine(token) }
}

/// How a claim stands, as a statement that named it found.
package enum ClaimState: Sendable, Hashable {
    case held
    /// The job was cancelled, maybe asked for anew since: stop the task; its end must still be recorded.
    case cancelled
    /// Taken back or deleted: stop the task and write nothing more.
    case lost

    /// - Parameter status: Of the row that names the claim's token under an open lease; `nil` where there is none.
    init(status: String?) {
        self =
            switch status {
            case nil: .lost
            case JobStatus.processing.rawValue: .held
            default: .cancelled
            }
    }
}

/// A job together with the right to run it.
///
/// An object, as it is passed on many times on its way to its end.
package final class ClaimedJob: Sendable {
    package let job: Job
    package let claim: Claim
    /// Its worker died while it ran: at most one such runs in a process at a time.
    package let isSuspect: Bool
    /// Why it must not run at all, such as a payload over the limit; the attempt then fails for good.
    package let refusal: String?
    /// It waited for other jobs, whose results its payload may ask for.
    package let hasParents: Bool

    package init(job: Job, claim: Claim, isSuspect: Bool, refusal: String?, hasParents: Bool = false) {
        self.job = job
        self.claim = claim
        self.isSuspect = isSuspect
        self.refusal = refusal
        self.hasParents = hasParents
    }
}
