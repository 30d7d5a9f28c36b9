import FoundationEssentials
public import HTTPClient
public import JobWorker
import Logging
public import Postgres

/// What the enrichment of accounts and contacts shares: database, Apollo, keys, limits.
public struct EnrichmentService: Sendable {
    public struct Configuration: Sendable {
        /// `APOLLO_BASE_URL`.
        public var apolloBaseURL = "https://api.apollo.io"
        /// `APOLLO_RATE_LIMIT_PER_MINUTE`: what a workspace starts with. Its row in `rate_limits` counts from then on;
        /// Apollo's headers can only lower it.
        public var requestsPerMinute = 100
        /// `ENRICHMENT_CACHE_TTL_DAYS`. Misses are kept for an hour.
        public var cacheLifetime = Duration.seconds(30 * 86_400)
        /// From the start of a call to its last byte.
        public var requestTimeout = Duration.seconds(30)
        /// A turn that comes within this time is waited for; for a later one the job is given back.
        public var patience = Duration.seconds(2)

        public init() {}
    }

    /// How long a paid answer is held while the database fails: a restart of the server fits in.
    private static let savingTimeMax = Duration.seconds(60)

    let pool: ConnectionPool
    let vault: KeyVault
    let apollo: ApolloClient
    let cache: EnrichmentCache
    let limit: RateLimit
    let refusals: RefusalMemory
    let saver: EnrichmentSaver
    let patience: Duration
    private let onRequest: @Sendable (String) -> Void

    /// - Parameter onRequest: Called after each request to Apollo with its status, or a word such as `timeout`.
    public init(
        pool: ConnectionPool, client: Client, vault: KeyVault, configuration: Configuration = Configuration(),
        onRequest: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.pool = pool
        self.vault = vault
        apollo = ApolloClient(
            client: client, baseURL: configuration.apolloBaseURL, timeout: configuration.requestTimeout)
        cache = EnrichmentCache(pool: pool, lifetime: configuration.cacheLifetime)
        limit = RateLimit(pool: pool, perMinute: max(1, configuration.requestsPerMinute))
        refusals = RefusalMemory(pool: pool)
        saver = EnrichmentSaver(pool: pool, cacheLifetime: configuration.cacheLifetime)
        patience = configuration.patience
        self.onRequest = onRequest
    }

    /// The processors of both job types.
    public var processors: [any JobProcessor] { [EnrichAccount(service: self), EnrichContact(service: self)] }

    // MARK: One attempt

    /// Enriches one row, from the settings to the result.
    ///
    /// - Parameter load: Reads the row; called once the workspace may enrich at all.
    func enrich<Subject: EnrichmentSubject>(
        _ job: Job, _ context: JobContext, load: (ConnectionPool) async throws -> Subject
    ) async throws -> JSONText {
        do {
            return try await attempt(job, context, load: load)
        } catch let error as PostgresError {
            throw DatabaseFailure.error(for: error)
        }
    }

    private func attempt<Subject: EnrichmentSubject>(
        _ job: Job, _ context: JobContext, load: (ConnectionPool) async throws -> Subject
    ) async throws -> JSONText {
        try await context.progress(10, "Reading the workspace's settings")
        let access = try await WorkspaceAccess.load(workspace: job.workspaceID, endpoint: Subject.endpoint, from: pool)
        guard let access else { throw JobFailure.permanent("Workspace not found: \(job.workspaceID.text)") }
        let storedKey = try access.usableKey()
        let key = try open(storedKey, workspace: job.workspaceID)
        let subject = try await load(pool)
        try await context.progress(20, "Apollo client ready")

        try await context.progress(25, "Looking in the cache")
        let cached = try await cache.entry(
            subject.lookup, workspace: job.workspaceID, member: Subject.endpoint.member, job: job.id)
        let record: ApolloRecord
        var payment: EnrichmentSaver.Payment?
        if let cached {
            try await context.progress(40, "Using cached data")
            try await context.log(.info, "Cache hit", metadata: ["lookup_type": .string(subject.lookup.kind.rawValue)])
            guard let found = cached.record else { throw EnrichmentService.noMatch(Subject.self) }
            record = found
        } else {
            try await context.log(.info, "Cache miss", metadata: ["lookup_type": .string(subject.lookup.kind.rawValue)])
            if let refusal = access.knownRefusal { throw JobFailure.permanent(refusal) }
            let maxRequests = try await turn(job)
            try await context.progress(30, "Calling Apollo")
            let reply = try await call(subject, key: key, job: job, storedKey: storedKey, context)
            guard let found = reply.record else {
                try await cache.rememberMiss(subject.lookup, workspace: job.workspaceID)
                try await limit.learn(workspace: job.workspaceID, reply.usage, maxRequests: maxRequests)
                throw EnrichmentService.noMatch(Subject.self)
            }
            record = found
            payment = EnrichmentSaver.Payment(call: UUID(), credits: 1)
            // Not worth losing a paid answer for.
            try? await limit.learn(workspace: job.workspaceID, reply.usage, maxRequests: maxRequests)
        }

        do {
            try await context.progress(60, "Matching fields")
            try await context.progress(80, "Saving")
            try Task.checkCancellation()
        } catch {
            // The attempt is over, but what was paid for is kept for the next one.
            if payment != nil {
                _ = try? await save(record, for: subject, job: job, payment: payment, updatesRow: false)
            }
            throw error
        }
        let saved = try await save(record, for: subject, job: job, payment: payment, updatesRow: true)
        if saved.isGone { throw JobFailure.permanent("\(Subject.name) not found: \(subject.id.text)") }
        for column in saved.skipped {
            try await context.log(
                .warn,
                """
                \(Subject.name) keeps its \(column): the new one belongs to another row of the workspace or \
                can't be stored
                """,
                metadata: ["id": .string(subject.id.text)])
        }
        let credits = (payment?.credits ?? 0) + (cached?.creditsOfThisJob ?? 0)
        let fields = saved.fields + (cached?.fieldsOfThisJob ?? 0)
        try await context.log(
            .info, "\(Subject.name) updated",
            metadata: ["credits_used": .integer(Int64(credits)), "fields_enriched": .integer(Int64(fields))])
        return try JSONText(
            encoding: [
                "\(Subject.name.lowercased())_id": JSONValue.string(subject.id.text),
                "credits_used": .integer(Int64(credits)), "fields_enriched": .integer(Int64(fields)),
                "enriched_data": subject.summary(record),
            ])
    }

    private static func noMatch<Subject: EnrichmentSubject>(_ subject: Subject.Type) -> JobFailure {
        .permanent(
            """
            \(Subject.noMatch). Apollo has no match and charged nothing; it is asked again after an hour at the \
            earliest.
            """
        )
    }

    private func open(_ storedKey: String, workspace: UUID) throws(JobFailure) -> APIKey {
        do throws(KeyVaultError) {
            return try vault.open(storedKey, workspace: workspace).key
        } catch {
            throw .permanent(
                """
                The stored Apollo API key can't be decrypted. A workspace admin must enter the key again in the \
                workspace settings.
                """,
                causes: [error.description])
        }
    }

    /// Waits for the workspace's turn with Apollo, or gives the job back until then.
    /// - Returns: The workspace's limit.
    private func turn(_ job: Job) async throws -> Int {
        let giveBack = ContinuousClock.now + patience
        while true {
            switch try await limit.take(workspace: job.workspaceID) {
            case .granted(let maxRequests):
                return maxRequests
            case .wait(let delay, let until, let reason):
                guard ContinuousClock.now + delay <= giveBack else {
                    throw EnrichmentService.snooze(for: delay, until: until, reason)
                }
                try await Task.sleep(for: max(delay, .milliseconds(50)))
            }
        }
    }

    /// Asks Apollo, and makes the whole workspace remember what concerns it all.
    private func call<Subject: EnrichmentSubject>(
        _ subject: Subject, key: APIKey, job: Job, storedKey: String, _ context: JobContext
    ) async throws -> ApolloClient.Reply {
        do {
            let reply = try await subject.ask(apollo, key: key)
            onRequest(String(reply.status))
            return reply
        } catch let fault as ApolloFault {
            onRequest(fault.label)
            if fault.isRemembered {
                // For the operator's alerts: no job of this workspace will succeed until somebody acts.
                context.logger.log(.apolloRefusal, metadata: ["STATUS": "\(fault.label)"])
            }
            throw try await consequence(of: fault, Subject.endpoint, job: job, storedKey: storedKey)
        }
    }

    private func consequence(
        of fault: ApolloFault, _ endpoint: ApolloEndpoint, job: Job, storedKey: String
    ) async throws -> JobFailure {
        let failure = fault.failure(endpoint)
        if fault.isRemembered {
            try await refusals.remember(
                failure.message, workspace: job.workspaceID, endpoint: endpoint, storedKey: storedKey)
        }
        guard case .rateLimited(let retryAfter, let window, let detail) = fault, let pause = retryAfter ?? window?.pause
        else { return failure }
        let reason = "Apollo: \(detail.last == "." ? String(detail.dropLast()) : detail)"
        try await limit.pause(workspace: job.workspaceID, for: max(pause, .seconds(1)), reason: reason)
        if case .wait(let delay, let until, _) = try await limit.next(workspace: job.workspaceID) {
            return EnrichmentService.snooze(for: max(delay, pause), until: until, reason)
        }
        return EnrichmentService.snooze(for: pause, until: nil, reason)
    }

    private static func snooze(for delay: Duration, until: Timestamp?, _ reason: String?) -> JobFailure {
        .snooze(
            for: min(max(delay, .seconds(1)), .seconds(3600)),
            "Rate limit exceeded" + (reason.map { ": \($0)" } ?? "") + "."
                + (until.map { " Waits until \($0.text(fractionDigits: 0))." } ?? ""))
    }

    /// Saves with a few repetitions, and to the end even if the attempt is cancelled meanwhile: a credit was spent.
    private func save<Subject: EnrichmentSubject>(
        _ record: ApolloRecord, for subject: Subject, job: Job, payment: EnrichmentSaver.Payment?, updatesRow: Bool
    ) async throws -> EnrichmentSaver.Saved {
        guard payment != nil else {
            return try await saver.save(record, for: subject, job: job, payment: nil, updatesRow: updatesRow)
        }
        // A task of its own isn't cancelled with this one; awaited right here, it has a parent all the same.
        let saving = Task { [saver] in
            let giveUp = ContinuousClock.now + EnrichmentService.savingTimeMax
            var delay = Duration.milliseconds(200)
            while true {
                do {
                    return try await saver.save(
                        record, for: subject, job: job, payment: payment, updatesRow: updatesRow)
                } catch let error as PostgresError where error.isTransient && ContinuousClock.now + delay < giveUp {
                    try await Task.sleep(for: delay)
                    delay = min(delay * 2, .seconds(5))
                } catch let error as PostgresError where updatesRow && !error.isTransient {
                    // The row can't take the values; what was paid for is kept all the same.
                    _ = try? await saver.save(record, for: subject, job: job, payment: payment, updatesRow: false)
                    throw error
                }
            }
        }
        return try await saving.value
    }
}

/// How the database's errors end an attempt.
enum DatabaseFailure {
    static func error(for error: PostgresError) -> any Error {
        if error.reason == .cancelled { return CancellationError() }
        let causes = [error.description]
        guard let state = error.sqlState, !error.isTransient,
            ["22", "23", "42", "54"].contains(where: { state.hasPrefix($0) })
        else { return JobFailure.retryable("The database failed: \(error.description)", causes: causes) }
        return JobFailure.permanent("The database refused the data: \(error.description)", causes: causes)
    }
}
