package import Postgres

extension JobFacts {
    /// What else holds in its queue.
    package struct Rules: Sendable, Equatable {
        /// So long a wait is worth a step of priority.
        package var ageing: Duration?
        /// Workspaces that take turns in it, as far as was looked; `nil` where none do or the reader isn't to know.
        package var sharers: Int?

        package init(ageing: Duration? = nil, sharers: Int? = nil) {
            self.ageing = ageing
            self.sharers = sharers
        }
    }

    /// A limit on its type or workspace that lets nothing start now.
    package struct ExhaustedLimit: Sendable, Equatable {
        /// `nil` where it isn't for the reader to know; so are the others.
        package var name: String?
        /// As many run as may at once.
        package var most: Int?
        /// Its rate lets the next start then.
        package var nextAt: Timestamp?

        package init(name: String?, most: Int? = nil, nextAt: Timestamp? = nil) {
            self.name = name
            self.most = most
            self.nextAt = nextAt
        }
    }
}
