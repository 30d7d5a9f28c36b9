import FoundationEssentials
import Logging
import Postgres

extension Logger {
    /// Says with each of its lines which job it is about.
    /// - Parameter lazily: A busy worker leaves most lines out: what they say is put together once one is written, by a
    ///   provider of metadata, where the handler has one. Otherwise it stands in the logger's metadata, where a
    ///   processor finds it, and any handler.
    func of(_ job: Job, lazily: Bool) -> Logger {
        let facts = JobFacts(job)
        var logger = self
        // Of many handlers one may have no provider.
        if lazily, !(handler is MultiplexLogHandler) {
            let others = handler.metadataProvider
            logger.handler.metadataProvider = MetadataProvider {
                guard let others else { return facts.metadata }
                return others.get().merging(facts.metadata) { $1 }
            }
            if logger.handler.metadataProvider != nil { return logger }
        }
        var metadata = logger.handler.metadata
        metadata.merge(facts.metadata) { $1 }
        logger.handler.metadata = metadata
        return logger
    }
}

/// Without the payload, which a logger that is kept would keep.
private struct JobFacts: Sendable {
    private let id, workspaceID: UUID
    private let type, queue: String
    private let attempt: Int

    init(_ job: Job) {
        (id, workspaceID, type, queue, attempt) = (job.id, job.workspaceID, job.type, job.queue, job.attempt)
    }

    var metadata: Logger.Metadata {
        [
            "JOB_ID": .string(id.text), "JOB_TYPE": .string(type), "JOB_QUEUE": .string(queue),
            "WORKSPACE_ID": .string(workspaceID.text), "ATTEMPT": .string(String(attempt)),
        ]
    }
}
