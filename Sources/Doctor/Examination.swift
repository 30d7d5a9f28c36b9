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
        if let units = await SystemdCheck.units() {
            findings += SystemdCheck.findings(units)
        }
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

        findings += await examineConnection(store, configuration)
        findings += await examineBorder(store)
        findings += await examineWork(store, configuration)
        findings += await examineUpkeep(store)
        return findings
    }

    private func examineConnection(_ store: JobStore, _ configuration: Configuration) async -> [Finding] {
        await attempt("wake-ups") {
            let settings = ConnectionSettings(
                connectionString: configuration.listenConnection?.withText { $0 } ?? "",
                applicationName: "jobworker doctor")
            return [ConnectionCheck.finding(wakeup: try await ConnectionCheck.wakeup(store, listening: settings))]
        }
            + (await attempt("clock") {
                let (offset, error) = try await ConnectionCheck.clockOffset(store)
                return [ConnectionCheck.finding(clockOffset: offset, error: error)]
            })
    }

    private func examineBorder(_ store: JobStore) async -> [Finding] {
        await attempt("row security") { BorderCheck.findings(try await store.borderSurvey()) }
            + (await attempt("workspaces") { BorderCheck.findings(try await store.tryBorder()) })
    }

    private func examineWork(_ store: JobStore, _ configuration: Configuration) async -> [Finding] {
        let silence = configuration.workerSilence
        var findings = await attempt("workers") {
            let workers = try await store.workers(silence: silence)
            return WorkCheck.findings(workers) + WorkCheck.openTypes(workers)
        }
        findings += await attempt("job types") {
            let unserved = try await store.unservedTypes(silence: silence)
            return WorkCheck.findings(unserved, now: try await store.now())
        }
        findings += await attempt("odd jobs") {
            let census = try await store.census()
            return WorkCheck.findings(census.odd) + RetentionCheck.findings(census, configuration[Catalog.retention])
        }
        findings += await attempt("limits") {
            RulesCheck.findings(try await store.queues(), try await store.limits())
        }
        findings += await attempt("enrichment") {
            [EnrichmentCheck.finding(try await ColumnCheck(pool: store.pool).missing())]
        }
        findings += await attempt("webhooks") { WebhookCheck.findings(try await store.webhookSurvey()) }
        findings += await attempt("keys") {
            let vault = try configuration.keyVault()
            let survey = try await KeyRotation(pool: store.pool, vault: vault).survey()
            return EnrichmentCheck.findings(survey, current: vault.currentKeyID)
        }
        return findings
    }

    private func examineUpkeep(_ store: JobStore) async -> [Finding] {
        var findings = await attempt("indexes") {
            let expected = ExpectedSchema()
            let indexes = try await store.indexes(named: expected.indexes.map(\.name) + [UpkeepCheck.searchIndex])
            return UpkeepCheck.findings(expected, indexes, try await store.triggers())
                + UpkeepCheck.findings(onSearch: indexes.first { $0.name == UpkeepCheck.searchIndex })
        }
        findings += await attempt("vacuum") { UpkeepCheck.findings(try await store.upkeep()) }
        findings += await attempt("transactions") { [DatabaseCheck.finding(try await store.oldestTransaction())] }
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
