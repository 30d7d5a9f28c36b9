package import Postgres

/// On whose behalf a person's change is made; it stands in `job_audit` and in the job's log.
package struct Requester: Sendable, Hashable {
    package enum Via: String, Sendable {
        case api, cli, dashboard
        /// A file that the worker reads.
        case worker
    }

    /// As `operator:alice`.
    package let actor: String
    package let via: Via

    package init(actor: String, via: Via) {
        self.actor = actor
        self.via = via
    }

    /// For the rest of the transaction. The database believes it from members of the role `jobworker` alone.
    package var statement: Statement {
        """
        /* jobworker:requester */
        SELECT set_config('jobworker.actor', \(actor), true), set_config('jobworker.via', \(via.rawValue), true)
        """
    }
}
