import JobWorker
import Postgres
import Testing

@testable import Doctor

struct ChecksTests {
    private func survey(_ change: (inout DatabaseSurvey) -> Void = { _ in }) -> DatabaseSurvey {
        var survey = DatabaseSurvey()
        survey.serverVersion = "15.4"
        survey.serverVersionNumber = 150_004
        survey.database = "app"
        survey.role = "worker"
        survey.isWorker = true
        change(&survey)
        return survey
    }

    @Test func `a login that is a member of the worker's role is right`() {
        #expect(RoleCheck.findings(survey()).map(\.state) == [.ok])
        #expect(DatabaseCheck.findings(survey()).map(\.state) == [.ok])
    }

    @Test func `a role that may do too much is warned of`() {
        #expect(RoleCheck.findings(survey { $0.isSuperuser = true }).map(\.state) == [.warn])
        #expect(RoleCheck.findings(survey { $0.ownedTables = ["public.jobs"] }).map(\.state) == [.warn])
    }

    @Test func `a role that may do too little is a failure that says what to grant`() {
        let stranger = RoleCheck.findings(
            survey { survey in
                survey.isWorker = false
                survey.role = "odd\"name"
            })
        #expect(stranger.map(\.state) == [.fail])
        #expect(stranger.first?.advice?.contains("GRANT jobworker TO \"odd\"\"name\";") == true)
        #expect(RoleCheck.findings(survey { $0.missingRights = ["DELETE on public.jobs"] }).map(\.state) == [.fail])
        #expect(RoleCheck.findings(survey { $0.closedTables = ["public.jobs"] }).map(\.state) == [.fail])
    }

    @Test func `a server that can't be used is a failure`() {
        #expect(DatabaseCheck.findings(survey { $0.isStandby = true }).map(\.state) == [.fail])
        #expect(DatabaseCheck.findings(survey { $0.serverVersionNumber = 130_010 }).map(\.state) == [.fail])
        #expect(SchemaCheck.finding(.behind(missing: 1)).message == "1 migration is missing")
        #expect(SchemaCheck.finding(.ahead(version: 99)).state == .fail)
        #expect(SchemaCheck.finding(.current).state == .ok)
    }

    @Test func `a transaction that has been open for long is warned of`() {
        #expect(DatabaseCheck.finding(nil).state == .ok)
        #expect(DatabaseCheck.finding(OldTransaction(who: "17", application: "psql", age: .seconds(599))).state == .ok)
        let old = DatabaseCheck.finding(OldTransaction(who: "17", application: "psql", age: .seconds(7200)))
        #expect(old.state == .warn && old.message.hasPrefix("17 (psql) has had a transaction open for 120 minutes"))
    }

    @Test func `a prepared transaction is ended in another way than a session`() {
        let old = DatabaseCheck.finding(
            OldTransaction(who: "it's", application: OldTransaction.prepared, age: .seconds(7200)))
        #expect(old.advice == "End it: ROLLBACK PREPARED 'it''s'; (or COMMIT PREPARED).")
    }

    @Test func `jobs that nobody runs are warned of`() {
        #expect(WorkCheck.findings([], now: Timestamp(microseconds: 0)).map(\.state) == [.ok])
        let waiting = UnservedType(type: "import_csv", queue: "default", count: 3, oldest: Timestamp(microseconds: 0))
        let findings = WorkCheck.findings([waiting], now: Timestamp(microseconds: 3_600_000_000))
        #expect(
            findings.first?.message.hasPrefix(
                "3 pending jobs of type 'import_csv' in queue 'default', the oldest due for 60 min") == true)
        #expect(WorkCheck.finding([]).state == .warn)
        let odd = OddJobs(
            withoutWorkspace: 1, withoutStatus: 0, withUnknownStatus: 2, unknownStatuses: ["done", "new"])
        #expect(WorkCheck.findings(odd).map(\.state) == [.warn, .warn])
    }

    @Test func `a token that can be guessed is warned of by name, never by value`() throws {
        let configuration = try loadSettings(["WORKER_SECRET_TOKEN": "alice:short-one"])
        let findings = SettingsCheck.findings(configuration)
        #expect(findings.map(\.state) == [.ok, .warn])
        #expect(findings.last?.message.contains("alice") == true)
        #expect(findings.last?.message.contains("short-one") == false)
    }
}
