import JobWorker

/// The border between workspaces: what the catalogue says of it, and what happens when somebody tries to cross it.
enum BorderCheck {
    static func findings(_ survey: BorderSurvey) -> [Finding] {
        var findings: [Finding] = []
        if !survey.openTables.isEmpty {
            findings.append(
                .fail(
                    "row security", "is off for \(listed(survey.openTables)): nothing keeps workspaces apart there",
                    advice: survey.openTables.prefix(4).map { "ALTER TABLE \($0) ENABLE ROW LEVEL SECURITY;" }
                        .joined(separator: " ")))
        }
        if !survey.strangePolicies.isEmpty {
            findings.append(
                .warn(
                    "row security",
                    "policies that aren't jobworker's let members through besides its own: "
                        + listed(survey.strangePolicies),
                    advice: "One policy is enough to open a table. Drop what isn't needed: DROP POLICY … ON …;"))
        }
        if !survey.publicRights.isEmpty {
            findings.append(
                .warn(
                    "row security", "everybody, or anon, holds \(listed(survey.publicRights))",
                    advice: "REVOKE ALL ON … FROM PUBLIC, anon;"))
        }
        return findings
    }

    static func findings(_ trial: BorderTrial) -> [Finding] {
        if let obstacle = trial.obstacle {
            // Without a workspace there is nothing to look at; without the role the API can't serve members.
            guard trial.tables > 0 else { return [.ok("workspaces", "nothing to try yet: \(obstacle)")] }
            return [
                .warn(
                    "workspaces", "the API can't act for members: \(obstacle)",
                    advice: "As an administrator run: GRANT authenticated TO jobworker;")
            ]
        }
        var findings: [Finding] = []
        let stranger = trial.isRealMember ? "a member of another workspace" : "a user who is a member of none"
        if !trial.leaks.isEmpty {
            findings.append(
                .fail(
                    "workspaces", "\(stranger) reached rows of a workspace by \(listed(trial.leaks))",
                    advice: "Look at the policies and functions of these tables; \"row security\" may say more."))
        }
        if trial.memberSees == false {
            findings.append(
                .warn(
                    "workspaces", "an active member doesn't see a job of the own workspace",
                    advice: "Look at auth.uid() and at jobworker.my_workspaces(): they tell who is a member of what."))
        }
        return findings.isEmpty
            ? [.ok("workspaces", "\(stranger) tried \(trial.tables) tables and reached nothing")] : findings
    }
}
