import JobWorker
import Postgres

enum DatabaseCheck {
    /// Below it the schema can't be made.
    private static let versionMin = 140_000
    private static let transactionAgeMax = Duration.seconds(600)

    static func unreachable(_ error: PostgresError) -> Finding {
        if case .rejected = error.reason {
            return .fail(
                "database", "\(error)", advice: "The role has to be a member of 'jobworker'.", obstacle: .refused)
        }
        let advice =
            error.connectionRefusal == nil
            ? "Check host and port in DATABASE_URL (or PGHOST, PGPORT), and that the server runs."
            : "Check user, password and database in DATABASE_URL, and pg_hba.conf."
        return .fail(
            "database", "\(error)", advice: advice,
            obstacle: error.connectionRefusal == nil ? .unreachable : .refused)
    }

    static func findings(_ survey: DatabaseSurvey) -> [Finding] {
        let place = "PostgreSQL \(survey.serverVersion), database '\(survey.database)', role '\(survey.role)'"
        if survey.serverVersionNumber < versionMin {
            return [.fail("database", "\(place): PostgreSQL 14 or later is needed", advice: "Update the server.")]
        }
        if survey.isStandby {
            return [
                .fail(
                    "database", "\(place): a standby, which can't be written to",
                    advice: "Name the primary, or several hosts with target_session_attrs=read-write.")
            ]
        }
        var findings: [Finding] = [.ok("database", place)]
        if survey.isExposed {
            findings.append(
                .warn(
                    "database", "the connection to another machine isn't encrypted",
                    advice:
                        "Add sslmode=verify-full to DATABASE_URL, with sslrootcert where the server's certificate needs it."
                ))
        }
        return findings
    }

    static func finding(_ oldest: OldTransaction?) -> Finding {
        guard let oldest, oldest.age > transactionAgeMax else {
            return .ok("transactions", "none that this role can see is older than 10 minutes")
        }
        let minutes = oldest.age.components.seconds / 60
        let name = oldest.application.isEmpty ? "" : " (\(oldest.application))"
        return .warn(
            "transactions",
            "\(oldest.who)\(name) has had a transaction open for \(minutes) minutes: VACUUM can't clear away what "
                + "jobs leave behind, and claims become slower",
            advice: oldest.application == OldTransaction.prepared
                ? "End it: ROLLBACK PREPARED '\(oldest.who.replacing("'", with: "''"))'; (or COMMIT PREPARED)."
                : "End it: SELECT pg_terminate_backend(\(oldest.who));")
    }
}
