import JobWorker

/// What keeps statements quick: indexes, VACUUM, and room that isn't wasted.
enum UpkeepCheck {
    private static let deadMin = 50_000
    private static let deadShareMax = 0.2
    /// The server begins to freeze by itself at 200 million, and stops at 2,000 million.
    private static let freezeAgeMax = 1_000_000_000
    private static let freezeAgeLast = 1_600_000_000
    /// Below these sizes nothing is gained by making something smaller.
    private static let tableBytesMin = 100 << 20
    private static let indexBytesMin = 50 << 20
    /// An entry with its two or three columns and what belongs to it.
    private static let entryBytes = 100.0

    static func findings(_ expected: ExpectedSchema, _ indexes: [IndexState], _ triggers: TriggerStates) -> [Finding] {
        var findings: [Finding] = []
        let present = Dictionary(indexes.map { ($0.name, $0) }) { first, _ in first }
        for index in expected.indexes {
            guard let state = present[index.name] else {
                findings.append(
                    .warn(
                        "indexes", "\(index.name) is missing: what relies on it reads the whole table",
                        advice: "Run: \(index.statement)"))
                continue
            }
            if !state.isValid {
                findings.append(
                    .warn(
                        "indexes", "\(index.name) is invalid: it is kept up to date, but not used",
                        advice: "Run: REINDEX INDEX CONCURRENTLY \(index.schema).\(index.name);"))
            } else if let entries = state.entries, state.bytes > indexBytesMin,
                Double(state.bytes) > 10 * (entries + 1) * entryBytes
            {
                findings.append(
                    .warn(
                        "indexes",
                        "\(index.name) takes \(megabytes(state.bytes)) for \(Int(entries)) entries, most of it empty",
                        advice: "Run: REINDEX INDEX CONCURRENTLY \(index.schema).\(index.name);"))
            }
        }
        for trigger in expected.triggers {
            guard triggers[trigger.path] != true else { continue }
            let isThere = triggers[trigger.path] != nil
            findings.append(
                .fail(
                    "triggers", "\(trigger.name) on \(trigger.table) is \(isThere ? "disabled" : "missing")",
                    advice: isThere
                        ? "Run: ALTER TABLE \(trigger.table) ENABLE TRIGGER \(trigger.name);"
                        : "Make it again as in the migrations, or restore the schema."))
        }
        guard findings.isEmpty else { return findings }
        return [
            .ok(
                "indexes",
                "\(expected.indexes.count) indexes and \(expected.triggers.count) triggers are as they should be")
        ]
    }

    /// The one index that needs an extension, so that a database may be without it.
    static let searchIndex = "jobs_error_text"

    static func findings(onSearch index: IndexState?) -> [Finding] {
        guard index == nil else { return [] }
        return [
            .warn(
                "search",
                "a search in errors reads all of them: \(searchIndex) is missing, which needs the extension pg_trgm",
                advice: """
                    As the owner of the database run: CREATE EXTENSION IF NOT EXISTS pg_trgm; CREATE INDEX CONCURRENTLY \
                    \(searchIndex) ON public.jobs USING gin (error_message gin_trgm_ops) \
                    WHERE error_message IS NOT NULL;
                    """)
        ]
    }

    static func findings(_ tables: [TableUpkeep]) -> [Finding] {
        var findings: [Finding] = []
        let unattended = tables.filter { !$0.isAutovacuumed }.map(\.name)
        if !unattended.isEmpty {
            let isServer = unattended.count == tables.count
            findings.append(
                .warn(
                    "vacuum",
                    "autovacuum is off for \(isServer ? "all tables" : listed(unattended)): they grow, and claims become slower",
                    advice: isServer
                        ? "Set autovacuum = on for the server." : "ALTER TABLE … RESET (autovacuum_enabled);"))
        }
        for table in tables {
            if table.dead > deadMin, Double(table.dead) > deadShareMax * Double(table.live) {
                let last =
                    table.lastVacuum.map { "the last VACUUM was \(minutes($0)) ago" } ?? "there was no VACUUM yet"
                findings.append(
                    .warn(
                        "vacuum",
                        "\(table.name) holds \(table.dead) dead versions beside \(table.live) rows; \(last)",
                        advice: "Run: VACUUM (ANALYZE) \(table.name); If that changes nothing, an old transaction or a "
                            + "replication slot holds them."))
            }
            if table.freezeAge > freezeAgeMax {
                let text =
                    "the oldest rows of \(table.name) were frozen \(table.freezeAge / 1_000_000) million "
                    + "transactions ago; the server stops at 2,000 million"
                let advice = "Run: VACUUM (FREEZE) \(table.name);"
                findings.append(
                    table.freezeAge > freezeAgeLast
                        ? .fail("vacuum", text, advice: advice)
                        : .warn("vacuum", text, advice: advice))
            }
            if !table.isAnalyzed, table.bytes > 1 << 20 {
                findings.append(
                    .warn(
                        "vacuum", "nobody has looked at the rows of \(table.name) yet: plans for it are guesses",
                        advice: "Run: ANALYZE \(table.name);"))
            } else if let needed = table.neededBytes, table.bytes > tableBytesMin, Double(table.bytes) > 3 * needed {
                findings.append(
                    .warn(
                        "vacuum",
                        "\(table.name) takes \(megabytes(table.bytes)) for rows of \(megabytes(Int(needed)))",
                        advice: "VACUUM makes the room usable again, but gives none back; pg_repack or VACUUM FULL "
                            + "(which locks the table) does."))
            }
        }
        return findings.isEmpty ? [.ok("vacuum", "tables are kept tidy")] : findings
    }

    private static func megabytes(_ bytes: Int) -> String { "\(bytes >> 20) MB" }

    private static func minutes(_ age: Duration) -> String {
        let seconds = age.components.seconds
        return seconds < 7200 ? "\(seconds / 60) min" : "\(seconds / 3600) h"
    }
}
