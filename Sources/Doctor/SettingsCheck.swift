import Settings

enum SettingsCheck {
    static func findings(_ report: SettingsReport) -> [Finding] {
        report.mistakes.map {
            .fail("settings", "\($0)", advice: "Put it right; nothing starts before.", obstacle: .badSettings)
        }
    }

    static func findings(_ configuration: Configuration) -> [Finding] {
        let set = configuration.describe().filter { $0.origin != .default }.count
        var findings: [Finding] = [.ok("settings", "all can be read, \(set) of \(Catalog.all.count) are set")]
        findings += configuration.warnings.map { .warn("settings", $0) }
        let tokens = configuration[Catalog.secretToken]
        if tokens.isEmpty {
            findings.append(
                .warn(
                    "token", "WORKER_SECRET_TOKEN is not set: what operators do over HTTP answers 503",
                    advice: "Set it to something random: openssl rand -hex 32"))
        }
        findings += contradictions(configuration)
        for (index, token) in tokens.enumerated() where token.isShort {
            let name = token.name.map { "the token of '\($0)'" } ?? "token \(index + 1)"
            findings.append(
                .warn(
                    "token", "\(name) in WORKER_SECRET_TOKEN has fewer than 32 characters and can be guessed",
                    advice: "Take a longer one: openssl rand -hex 32"))
        }
        return findings
    }

    /// Settings that can each be right, but not together.
    private static func contradictions(_ configuration: Configuration) -> [Finding] {
        var findings: [Finding] = []
        func warn(_ text: String, _ advice: String) { findings.append(.warn("settings", text, advice: advice)) }

        let queues = configuration[Catalog.queues]
        let slots = configuration[Catalog.maxConcurrent]
        let caps = queues.compactMap(\.maxConcurrent)
        if caps.count == queues.count, caps.reduce(0, +) < slots {
            warn(
                "WORKER_MAX_CONCURRENT is \(slots), but the queues of WORKER_QUEUES may only run \(caps.reduce(0, +)) together",
                "Raise the limit of a queue, or lower WORKER_MAX_CONCURRENT.")
        }
        if configuration[Catalog.pollInterval] > configuration[Catalog.staleAfter] {
            warn(
                "WORKER_POLL_INTERVAL_MS is longer than WORKER_STALE_AFTER_SECONDS: jobs of dead workers are found late",
                "Polls take back what others left behind; keep them well below.")
        }
        if let listen = configuration[Catalog.httpListen] {
            let mayAnybody =
                configuration[Catalog.secretToken].isEmpty && configuration[Catalog.supabaseJWTSecret] == nil
                && configuration[Catalog.supabaseJWKSFile] == nil
            if mayAnybody {
                warn(
                    "WORKER_HTTP_LISTEN is set, but nobody can sign in: there is neither an operator's token nor a way "
                        + "to verify members' tokens",
                    "Set WORKER_SECRET_TOKEN, or SUPABASE_JWT_SECRET or SUPABASE_JWKS_FILE, or leave WORKER_HTTP_LISTEN out."
                )
            }
            if !isLoopback(listen.host) {
                warn(
                    "WORKER_HTTP_LISTEN is reachable from other machines, and what goes over it isn't encrypted",
                    "Listen on 127.0.0.1 and let a proxy with TLS pass requests on.")
            }
        }
        let apollo = configuration[Catalog.apolloBaseURL]
        if apollo.hasPrefix("http://"), !isLoopback(host(of: apollo)) {
            warn("APOLLO_BASE_URL is http: the workspaces' keys would be sent for everybody to read", "Use https://.")
        }
        if configuration[Catalog.environment].lowercased().hasPrefix("prod") {
            if configuration[Catalog.diagnosticJobs] {
                warn(
                    "WORKER_DIAGNOSTIC_JOBS is on in \(configuration[Catalog.environment]): any member may add jobs that "
                        + "sleep or fail", "Leave it out there.")
            }
            if configuration[Catalog.webhookAllowPrivate] {
                warn(
                    "WORKER_WEBHOOK_ALLOW_PRIVATE is on in \(configuration[Catalog.environment]): admins of workspaces may "
                        + "have requests sent into this network", "Leave it out there.")
            }
        }
        return findings
    }

    private static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1" || host == "[::1]" || host.hasPrefix("127.")
    }

    /// Of a web address that was checked when it was read.
    private static func host(of address: String) -> String {
        let authority = address.dropFirst("http://".count).prefix { $0 != "/" }
        guard authority.first != "[" else { return String(authority.prefix { $0 != "]" }) + "]" }
        return String(authority.prefix { $0 != ":" })
    }
}
