package import Postgres

/// On whose behalf a person's change is made; it stands in `job_audit` and in the job's log. Within a transaction that
/// has run `statement`, the database's triggers write the audit of whatever is changed.
package struct Requester: Sendable, Hashable {
    package enum Via: String, Sendable {
        case api, cli, dashboard
        /// A file that the worker reads.
        case worker
    }

    /// As `operator:alice`.
    package let actor: String
    package let via: Via
    /// Why, as the person put it.
    package var reason: String?

    package init(actor: String, via: Via, reason: String? = nil) {
        self.actor = actor
        self.via = via
        self.reason = reason
    }

    /// For the rest of the transaction. The database believes it from members of the role `jobworker` alone.
    package var statement: Statement {
        """
        /* jobworker:requester */
        SELECT set_config('jobworker.actor', \(actor), true), set_config('jobworker.via', \(via.rawValue), true),
               set_config('jobworker.reason', \(reason ?? ""), true)
        """
    }
}
