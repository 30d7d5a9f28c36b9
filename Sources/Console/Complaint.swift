import Enrichment
import JobWorker
import Postgres
import Settings
import Terminal

/// Why a command ends without having done what was asked for: a sentence for people, a status for scripts.
package struct Complaint: Error, Sendable, Equatable {
    package let status: ExitStatus
    /// What happened, to what.
    package let message: String
    /// What to do.
    package let advice: String?

    package init(_ status: ExitStatus, _ message: String, advice: String? = nil) {
        self.status = status
        self.message = message
        self.advice = advice
    }

    /// The one place that decides what an error means for the person and for the exit status.
    package init(_ error: any Error) {
        switch error {
        case let complaint as Complaint: self = complaint
        case let report as SettingsReport: self.init(.badConfiguration, report.description)
        case let error as PostgresError: self.init(error)
        case let refusal as JobChangeRefusal:
            switch refusal {
            case .notFound: self.init(.notFound, refusal.description)
            case .conflict: self.init(.failed, refusal.description)
            }
        case let refusal as ScheduleRefusal:
            switch refusal {
            case .notFound:
                self.init(.notFound, refusal.description, advice: "'jobworker schedules list' shows those there are.")
            case .invalid: self.init(.usage, refusal.description, advice: "Nothing was changed.")
            case .exists: self.init(.failed, refusal.description, advice: "'jobworker schedules set' changes it.")
            }
        case let refusal as WebhookRefusal:
            switch refusal {
            case .notFound: self.init(.notFound, refusal.description)
            case .invalid: self.init(.usage, refusal.description, advice: "Nothing was changed.")
            case .conflict: self.init(.failed, refusal.description)
            }
        case let refusal as WorkflowRefusal:
            switch refusal {
            case .notFound: self.init(.notFound, refusal.description)
            case .invalid: self.init(.usage, refusal.description, advice: "Nothing was changed.")
            case .conflict: self.init(.failed, refusal.description)
            }
        case let error as KeyVaultError:
            switch error {
            case .noKeys, .badKey: self.init(.badConfiguration, error.description)
            case .unknownKey, .unreadable: self.init(.failed, error.description)
            }
        case is CancellationError: self.init(.interrupted, "interrupted")
        default: self.init(.failed, "\(error)")
        }
    }

    private init(_ error: PostgresError) {
        switch error.reason {
        case .unreachable:
            if let state = error.connectionRefusal, state.hasPrefix("28") || state == "42501" {
                self.init(
                    .refused, "the database refused the connection: \(error.message)",
                    advice: "Check user and password in DATABASE_URL, and pg_hba.conf.")
            } else {
                self.init(
                    .unreachable, error.description, advice: "Check DATABASE_URL; 'jobworker doctor' looks closer.")
            }
        case .connectionLost:
            self.init(.unreachable, error.description, advice: "If it was to change something, look whether it did.")
        case .cancelled: self.init(.interrupted, "interrupted")
        case .malformed: self.init(.failed, error.description)
        case .rejected(let state) where state == "42501" || state.hasPrefix("28"):
            self.init(.refused, error.description, advice: "'jobworker doctor' tells which rights the role needs.")
        case .rejected(let state) where state.hasPrefix("57P") || state.hasPrefix("53") || state == "25006":
            self.init(.unreachable, error.description)
        case .rejected:
            self.init(.failed, [error.description, error.hint].compactMap(\.self).joined(separator: "\n"))
        }
    }
}

extension Complaint {
    /// The same on lines that a terminal doesn't break within words.
    package func text(width: Int?) -> String {
        description.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let indent = String(line.prefix { $0 == " " })
            return line.displayWidth > width ?? .max ? line.wrapped(to: width, behind: indent) : String(line)
        }.joined(separator: "\n")
    }
}

extension Complaint: CustomStringConvertible {
    /// As it stands on standard error.
    package var description: String {
        // Names of statements begin with the program's, too.
        let start = message.hasPrefix("jobworker:") ? message : "jobworker: \(message)"
        // Names and errors come from anybody, and a terminal obeys what it is shown.
        return [start, advice].compactMap(\.self).joined(separator: "\n").manyLines
    }
}
