import Settings

enum SettingsCheck {
    static func findings(_ report: SettingsReport) -> [Finding] {
        report.mistakes.map { .fail("settings", "\($0)", advice: "Put it right; nothing starts before.") }
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
        for (index, token) in tokens.enumerated() where token.isShort {
            let name = token.name.map { "the token of '\($0)'" } ?? "token \(index + 1)"
            findings.append(
                .warn(
                    "token", "\(name) in WORKER_SECRET_TOKEN has fewer than 32 characters and can be guessed",
                    advice: "Take a longer one: openssl rand -hex 32"))
        }
        return findings
    }
}
