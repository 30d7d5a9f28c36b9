import JobWorker

enum RoleCheck {
    static func findings(_ survey: DatabaseSurvey) -> [Finding] {
        if survey.isSuperuser {
            return [
                .warn(
                    "role", "'\(survey.role)' is a superuser: far more than the worker needs",
                    advice: makeLogin)
            ]
        }
        guard survey.isWorker else {
            return [
                .fail(
                    "role", "'\(survey.role)' is no member of the role 'jobworker'",
                    advice: "As an administrator run: GRANT jobworker TO \(quoted(survey.role));")
            ]
        }
        var findings: [Finding] = []
        if !survey.missingRights.isEmpty {
            findings.append(
                .fail(
                    "role", "'\(survey.role)' lacks rights: \(listed(survey.missingRights))",
                    advice: "Run 'jobworker migrate', or grant them to the role 'jobworker'."))
        }
        if !survey.closedTables.isEmpty {
            findings.append(
                .fail(
                    "row security",
                    "hides every row of \(listed(survey.closedTables)) from '\(survey.role)', without an error",
                    advice: "Run 'jobworker migrate': its policies let the role 'jobworker' through."))
        }
        if !survey.ownedTables.isEmpty {
            findings.append(
                .warn(
                    "role",
                    "'\(survey.role)' owns \(listed(survey.ownedTables, max: 2)): it could change the tables themselves",
                    advice: makeLogin))
        }
        if !survey.excessPowers.isEmpty {
            findings.append(
                .warn(
                    "role", "'\(survey.role)' has \(listed(survey.excessPowers)), which no worker needs",
                    advice: makeLogin))
        }
        if !survey.excessRights.isEmpty {
            findings.append(
                .warn(
                    "role",
                    "'\(survey.role)' holds \(listed(survey.excessRights)): more than a worker needs, and a way around "
                        + "the border between workspaces",
                    advice: "REVOKE these rights from it and from what it is a member of."))
        }
        if !survey.foreignTables.isEmpty {
            findings.append(
                .warn(
                    "role",
                    "'\(survey.role)' may write to \(counted(survey.foreignTables.count, "table")) that jobworker doesn't "
                        + "use: \(listed(survey.foreignTables))",
                    advice: "Leave that where job types of your own need it; otherwise revoke it."))
        }
        return findings.isEmpty ? [.ok("role", "'\(survey.role)' may do what the worker needs, and no more")] : findings
    }

    private static let makeLogin =
        "Use a login of its own: CREATE ROLE worker LOGIN PASSWORD '…' IN ROLE jobworker; and MIGRATE_DATABASE_URL "
        + "for 'jobworker migrate'."

    private static func quoted(_ role: String) -> String {
        "\"" + role.replacing("\"", with: "\"\"") + "\""
    }
}
