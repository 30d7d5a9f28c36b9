import Enrichment
import JobWorker
import Postgres
public import Settings

/// Looks at a set-up from the settings to the jobs. Changes nothing.
public struct Examination: Sendable {
    private let sources: Sources

    public init(_ sources: Sources) { self.sources = sources }

    /// Looks at everything that can be looked at; what needs a broken part is left out.
    /// - Returns: Findings in the order in which they should be put right.
    public func run() async -> [Finding] {
        let configuration: Configuration
        do throws(SettingsReport) {
            configuration = try Configuration.load(sources)
        } catch {
            return SettingsCheck.findings(error)
        }
        var findings = SettingsCheck.findings(configuration)
        let pool = ConnectionPool(
            ConnectionSettings(connectionString: configuration.databaseURL, applicationName: "jobworker doctor"),
            limit: 1)
        findings += await examine(JobStore(pool: pool), configuration)
        await pool.close()
        return findings
    }

    private func examine(_ store: JobStore, _ configuration: Configuration) async -> [Finding] {
        var findings: [Finding] = []
        let survey: DatabaseSurvey
        let schema: JobStore.SchemaState
        do throws(PostgresError) {
            survey = try await store.survey()
        } catch {
            return [DatabaseCheck.unreachable(error)]
        }
        findings += DatabaseCheck.findings(survey)
        do throws(PostgresError) {
            schema = try await store.schemaState()
        } catch {
            return findings + [SchemaCheck.unreadable(error)] + RoleCheck.findings(survey)
        }
        findings += [SchemaCheck.finding(schema)]
        guard schema == .current else { return findings }
        findings += RoleCheck.findings(survey)
        guard survey.isWorker || survey.isSuperuser else { return findings }

        let silence = configuration.workerSilence
        findings += await attempt("workers") {
            [WorkCheck.finding(try await store.workers(silence: silence))]
        }
        findings += await attempt("job types") {
            let unserved = try await store.unservedTypes(silence: silence)
            return WorkCheck.findings(unserved, now: try await store.now())
        }
        findings += await attempt("odd jobs") { WorkCheck.findings(try await store.oddJobs()) }
        findings += await attempt("enrichment") {
            [EnrichmentCheck.finding(try await ColumnCheck(pool: store.pool).missing())]
        }
        findings += await attempt("keys") {
            let vault = try configuration.keyVault()
            let survey = try await KeyRotation(pool: store.pool, vault: vault).survey()
            return EnrichmentCheck.findings(survey, current: vault.currentKeyID)
        }
        findings += await attempt("transactions") {
            [DatabaseCheck.finding(try await store.oldestTransaction())]
        }
        return findings
    }

    /// A look that fails is a finding, too.
    private func attempt(_ subject: String, _ look: () async throws -> [Finding]) async -> [Finding] {
        do {
            return try await look()
        } catch {
            return [.fail(subject, "\(error)")]
        }
    }
}
