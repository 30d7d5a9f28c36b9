import ControlPlane
import JobWorker
import Postgres

/// Something that somebody should look at now.
struct Notice: Sendable, Hashable {
    enum Level: Int, Sendable, Hashable, Comparable {
        case warning, severe
        static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    let level: Level
    let sentence: String
    /// Where more is to be seen.
    let link: String

    init(_ level: Level, _ sentence: String, link: String) {
        self.level = level
        self.sentence = sentence
        self.link = link
    }
}

/// Where notices come from: each looks at one thing.
typealias NoticeSource = @Sendable (Visit) async throws -> [Notice]

enum Notices {
    static let sources: [NoticeSource] = [
        raised, health, unserved, pausedQueues, failures, schedules, webhooks,
    ]

    /// What is to be said to whoever looks, the severe first.
    static func all(_ visit: Visit) async -> [Notice] {
        var found: [Notice] = []
        var failed = 0
        for source in sources {
            do { found += try await source(visit) } catch { failed += 1 }
        }
        if failed > 0 {
            found.append(
                Notice(
                    .warning, "\(failed) of \(sources.count) looks at this had no answer: there may be more.",
                    link: "/dashboard/health"))
        }
        return found.enumerated().sorted { ($0.element.level, -$0.offset) > ($1.element.level, -$1.offset) }.map(
            \.element)
    }

    /// What the workers themselves have raised.
    private static func raised(_ visit: Visit) async throws -> [Notice] {
        guard visit.isOperator else { return [] }
        let document = try await visit.get("/api/alerts", "open=true&limit=20")
        return (document["alerts"]?.elements ?? []).map { alert in
            let link =
                switch alert["rule"]?.string {
                case "dead_letter": "/dashboard/dead-letters"
                case "worker_lost": "/dashboard/workers"
                default: "/dashboard/queues"
                }
            return Notice(.severe, Words.text(alert["message"]), link: link)
        }
    }

    private static func health(_ visit: Visit) async throws -> [Notice] {
        guard visit.isOperator else { return [] }
        let document = try await visit.get("/api/jobs/worker")
        let isSevere = document["status"]?.string == "unhealthy"
        return (document["reasons"]?.elements ?? []).compactMap(\.string).map {
            Notice(isSevere ? .severe : .warning, $0, link: "/dashboard/health")
        }
    }

    /// Types of which jobs wait and that no living worker takes.
    private static func unserved(_ visit: Visit) async throws -> [Notice] {
        guard visit.isOperator else { return [] }
        let workers = (try await visit.get("/api/workers")["workers"]?.elements ?? []).filter {
            $0["state"]?.string == "alive"
        }
        func list(_ worker: JSONNode, _ name: String) -> [String] {
            (worker[name]?.elements ?? []).compactMap(\.string)
        }
        return try await visit.waitingKinds().filter { kind in
            !workers.contains { worker in
                let queues = list(worker, "queues")
                return list(worker, "job_types").contains(kind.type)
                    && (queues.contains(kind.queue) || queues.contains("*"))
            }
        }.prefix(5).map { kind in
            Notice(
                .severe,
                "Jobs of the type \(kind.type) wait in the queue \(kind.queue), and no living worker takes them.",
                link: "/dashboard/jobs?status=pending&job_type=\(kind.type.percentEncoded)")
        }
    }

    private static func pausedQueues(_ visit: Visit) async throws -> [Notice] {
        guard visit.isOperator else { return [] }
        return try await visit.queueRules().filter { $0.pausedAt != nil }.prefix(5).map { rules in
            let who = rules.pausedBy.map { " by \($0)" } ?? ""
            return Notice(.warning, "The queue \(rules.name) is paused\(who).", link: "/dashboard/queues")
        }
    }

    /// Half of what ended in the last hour failed, and it was more than a few.
    private static func failures(_ visit: Visit) async throws -> [Notice] {
        let figures = try await visit.runFigures(RunFigures.Choice())
        return figures.kinds.filter { $0.value.failed >= 10 && $0.value.failed * 2 >= $0.value.ended }
            .sorted { $0.value.failed > $1.value.failed }.prefix(3).map { kind, sums in
                Notice(
                    .severe,
                    "Of \(sums.ended) jobs of the type \(kind.type) that ended in the last hour, \(sums.failed) failed.",
                    link: "/dashboard/dead-letters")
            }
    }

    private static func schedules(_ visit: Visit) async throws -> [Notice] {
        let document = try await visit.get("/api/schedules", [visit.workspaceQuery, "limit=200"].joinedQuery)
        return (document["schedules"]?.elements ?? []).filter { $0["last_error"]?.string != nil }.prefix(5).map {
            Notice(
                .warning,
                "The schedule \(Words.text($0["name"])) could not make its job: \(Words.text($0["last_error"]))",
                link: "/dashboard/schedules")
        }
    }

    private static func webhooks(_ visit: Visit) async throws -> [Notice] {
        let document = try await visit.get("/api/webhooks", [visit.workspaceQuery, "limit=200"].joinedQuery)
        return (document["webhooks"]?.elements ?? []).filter { $0["disabled_reason"]?.string != nil }.prefix(5).map {
            Notice(
                .warning, "Nothing is sent to \(Words.text($0["url"])) any more: \(Words.text($0["disabled_reason"])).",
                link: "/dashboard/webhooks/\(Words.text($0["id"]))")
        }
    }
}
