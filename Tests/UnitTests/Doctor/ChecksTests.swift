import JobWorker
import Migrations
import Postgres
import Settings
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
        #expect(WorkCheck.findings([WorkerStatus]()).map(\.state) == [.warn])
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

    @Test func `a clock that is off is told, once the way there can't be the reason`() {
        func state(_ seconds: Double, _ error: Double = 0.1) -> Finding.State {
            ConnectionCheck.finding(clockOffset: .seconds(seconds), error: .seconds(error)).state
        }
        #expect(state(0) == .ok && state(4) == .ok && state(-4) == .ok)
        #expect(state(60) == .warn && state(-60) == .warn && state(60, 58) == .ok)
        let behind = ConnectionCheck.finding(clockOffset: .seconds(60), error: .zero)
        #expect(behind.message.hasPrefix("60 s behind the database's"))
    }

    @Test func `a connection to another machine without TLS is warned of`() {
        #expect(DatabaseCheck.findings(survey { $0.isExposed = true }).map(\.state) == [.ok, .warn])
    }

    @Test(arguments: [
        ("WORKER_QUEUES", "a:1,b:2", "may only run 3 together"),
        ("WORKER_POLL_INTERVAL_MS", "300000", "WORKER_STALE_AFTER_SECONDS"),
        ("WORKER_HTTP_LISTEN", "127.0.0.1:8080", "nobody can sign in"),
        ("WORKER_HTTP_LISTEN", "0.0.0.0:8080", "isn't encrypted"),
        ("APOLLO_BASE_URL", "http://apollo.example.com", "https://"),
    ])
    func `settings that contradict each other are warned of`(name: String, value: String, text: String) throws {
        let findings = SettingsCheck.findings(try loadSettings([name: value]))
        let found = findings.filter { $0.state == .warn && "\($0.message) \($0.advice ?? "")".contains(text) }
        #expect(found.count == 1, "\(findings)")
    }

    @Test func `what is for trying things out is warned of in production alone`() throws {
        for name in ["WORKER_DIAGNOSTIC_JOBS", "WORKER_WEBHOOK_ALLOW_PRIVATE"] {
            func warnings(_ environment: String) throws -> Int {
                SettingsCheck.findings(try loadSettings([name: "true", "WORKER_ENV": environment]))
                    .count { $0.message.contains(name) }
            }
            #expect(try warnings("staging") == 0 && warnings("production") == 1)
        }
    }

    @Test func `rows that are old, or many, are told by the limits that are set`() {
        let census = JobCensus(
            odd: OddJobs(), oldestFinished: [.completed: .seconds(8 * 86_400), .failed: .seconds(86_400)],
            finished: 2_000_000)
        #expect(RetentionCheck.findings(census, RetentionDays()).map(\.state) == [.warn])
        #expect(RetentionCheck.findings(census, RetentionDays(completed: 7)).map(\.state) == [.ok])
        #expect(RetentionCheck.findings(census, RetentionDays(completed: 6)).map(\.state) == [.warn])
    }

    @Test func `an index full of nothing, a table full of nothing and rows nobody freezes are told of`() {
        let schema = ExpectedSchema([
            Migration(version: 1, name: "x", sql: "CREATE INDEX jobs_x ON public.jobs (id)\n    WHERE true;")
        ])
        #expect(schema.indexes.map(\.statement) == ["CREATE INDEX CONCURRENTLY jobs_x ON public.jobs (id) WHERE true;"])
        func states(bytes: Int) -> [Finding.State] {
            UpkeepCheck.findings(schema, [IndexState(name: "jobs_x", bytes: bytes, entries: 10)], [:]).map(\.state)
        }
        #expect(states(bytes: 1 << 20) == [.ok] && states(bytes: 1 << 30) == [.warn])
        var table = TableUpkeep(name: "public.jobs")
        #expect(UpkeepCheck.findings([table]).map(\.state) == [.ok])
        table.bytes = 1 << 30
        table.neededBytes = Double(1 << 28)
        #expect(UpkeepCheck.findings([table]).map(\.state) == [.warn])
        table.freezeAge = 1_700_000_000
        #expect(UpkeepCheck.findings([table]).map(\.state) == [.fail, .warn])
    }

    @Test func `a database without the index that needs an extension is told how to make it`() {
        #expect(UpkeepCheck.findings(onSearch: IndexState(name: "jobs_error_text", bytes: 1, entries: 1)).isEmpty)
        let findings = UpkeepCheck.findings(onSearch: nil)
        #expect(findings.map(\.state) == [.warn] && findings[0].advice?.contains("pg_trgm") == true)
    }

    @Test func `what a later migration drops is not missed`() {
        let schema = ExpectedSchema([
            Migration(
                version: 1, name: "x", sql: "CREATE UNIQUE INDEX a ON public.t (id);\nCREATE INDEX b ON public.t (id);"),
            Migration(
                version: 2, name: "y",
                sql: """
                    DROP INDEX IF EXISTS public.a;
                    CREATE TRIGGER one BEFORE UPDATE OF x ON public.t FOR EACH ROW EXECUTE FUNCTION f();
                    CREATE OR REPLACE TRIGGER one BEFORE UPDATE ON public.t FOR EACH ROW EXECUTE FUNCTION f();
                    CREATE TRIGGER two BEFORE UPDATE ON public.t FOR EACH ROW EXECUTE FUNCTION f();
                    DROP TRIGGER two ON public.t;
                    """),
        ])
        #expect(schema.indexes.map(\.name) == ["b"] && schema.triggers.map(\.name) == ["one"])
    }
}
