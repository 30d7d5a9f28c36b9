import FoundationEssentials
import Synchronization
import Tokens

/// One client's stream of events. It is closed when the last reference goes, whatever became of the client.
final class EventStream: Sendable {
    /// What a stream is about.
    enum Subject: Sendable, Hashable {
        case job(UUID)
        /// `nil`: every workspace that the viewer may see.
        case workspace(UUID?)
    }

    /// Who looks.
    enum Viewer: Sendable {
        case `operator`
        /// The workspaces are those of the last review.
        case member(Member, workspaces: Set<UUID>)
    }

    /// A stream as the hub knows it.
    struct Entry: Sendable {
        let subject: Subject
        var viewer: Viewer
        let continuation: AsyncStream<String>.Continuation
        let memory = Memory()

        /// Whether this stream is told of a job.
        /// - Parameter isGone: It was deleted; of which workspace it was, nobody knows any more.
        func covers(_ id: UUID, workspaceID: UUID?, isGone: Bool) -> Bool {
            switch subject {
            case .job(let own): guard own == id else { return false }
            case .workspace(let wanted?): guard wanted == workspaceID else { return false }
            case .workspace(nil): break
            }
            switch viewer {
            case .operator: return true
            case .member(_, let workspaces):
                if isGone { return subject == .job(id) }
                return workspaceID.map(workspaces.contains) ?? false
            }
        }
    }

    /// What a stream about one job was told last, so that it isn't told the same twice.
    final class Memory: Sendable {
        private let last = Mutex<(id: UUID, text: String)?>(nil)

        func isNews(_ text: String, about id: UUID) -> Bool {
            last.withLock { last in
                if let last, last.id == id, last.text == text { return false }
                last = (id, text)
                return true
            }
        }
    }

    /// What is told of a job, from a row named `jobs`: everything but what may be large.
    static let columns = """
        jobs.id, jobs.workspace_id, jobs.job_type, coalesce(jobs.job_queue, 'default') AS job_queue, jobs.status,
        coalesce(jobs.priority, 0) AS priority, coalesce(jobs.attempts, 0) AS attempts,
        coalesce(jobs.max_attempts, 5) AS max_attempts,
        CASE WHEN pg_column_size(jobs.progress) <= 4096 THEN jobs.progress END AS progress,
        left(jobs.error_message, 1000) AS error_message, jobs.created_at, jobs.scheduled_for, jobs.next_retry_at,
        jobs.started_at, jobs.completed_at, jobs.failed_at, jobs.worker_id
        """

    let texts: AsyncStream<String>
    private let onClose: @Sendable () -> Void

    init(texts: AsyncStream<String>, onClose: @escaping @Sendable () -> Void) {
        self.texts = texts
        self.onClose = onClose
    }

    deinit { onClose() }
}
