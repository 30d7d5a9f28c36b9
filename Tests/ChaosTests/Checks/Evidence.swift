import FoundationEssentials
import Postgres

/// Brings what was written down outside of the database into it, where it can be compared.
struct Evidence: Sendable {
    let database: ChaosDatabase

    private struct Execution {
        let run: String
        let job: UUID
        let attempt: Int
        let claimed: Timestamp
        let worker: String
        let pid: Int
        let started: Timestamp
        var lastSeen: Timestamp
        var ended: Timestamp?
        var how: String?
    }

    func gather(ledgers: [String], clients: Clients, faults: FaultLog, received: [String]) async throws {
        for path in ledgers {
            let executions = read(path)
            for begin in stride(from: 0, to: executions.count, by: 2000) {
                try await store(Array(executions[begin..<min(begin + 2000, executions.count)]))
            }
        }
        let log = faults.all
        try await database.admin.query(
            """
            INSERT INTO chaos.faults SELECT * FROM unnest(
                \(log.map(\.kind)), \(NullableArray(log.map(\.worker))),
                \(log.map { Timestamp(microseconds: $0.began) }), \(log.map { Timestamp(microseconds: $0.ended) }))
            """)
        for sentence in faults.unexplained {
            try await database.admin.query(
                "INSERT INTO chaos.faults VALUES (\(sentence), 'unexplained', now(), now())")
        }
        try await database.admin.query(
            "INSERT INTO chaos.acknowledged SELECT DISTINCT * FROM unnest(\(clients.acknowledged))")
        try await database.admin.query(
            "INSERT INTO chaos.rolled_back SELECT * FROM unnest(\(clients.rolledBack))")
        try await database.admin.query("INSERT INTO chaos.received SELECT DISTINCT * FROM unnest(\(received))")
        try await database.admin.withConnection { try await $0.runScript("ANALYZE") }
    }

    private func read(_ path: String) -> [Execution] {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
        var executions: [String: Execution] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: "\t").map(String.init)
            guard words.count == 8, let time = Int64(words[0]), let event = Ledger.Event(rawValue: words[1]),
                let job = UUID(uuidString: words[3]), let attempt = Int(words[4]), let claimed = Int64(words[5]),
                let pid = Int(words[7])
            else { continue }
            let at = Timestamp(microseconds: time)
            if event == .start {
                executions[words[2]] = Execution(
                    run: words[2], job: job, attempt: attempt, claimed: Timestamp(microseconds: claimed),
                    worker: words[6], pid: pid, started: at, lastSeen: at)
                continue
            }
            executions[words[2]]?.lastSeen = at
            if event != .beat {
                executions[words[2]]?.ended = at
                executions[words[2]]?.how = event.rawValue
            }
        }
        return Array(executions.values)
    }

    private func store(_ executions: [Execution]) async throws {
        try await database.admin.query(
            """
            INSERT INTO chaos.executions SELECT * FROM unnest(
                \(executions.map(\.run)), \(executions.map(\.job)), \(executions.map(\.attempt)),
                \(executions.map(\.claimed)), \(executions.map(\.worker)), \(executions.map(\.pid)),
                \(executions.map(\.started)), \(executions.map(\.lastSeen)), \(NullableArray(executions.map(\.ended))),
                \(NullableArray(executions.map(\.how))))
            """)
    }
}
