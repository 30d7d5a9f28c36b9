import FoundationEssentials
import JobWorker
import Postgres

/// Draws jobs of every kind.
enum JobMix {
    static let workspace = UUID(uuid: (0xC4, 0xA0, 0x5, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1))
    static let types = (shares.map(\.value) + Arrangements.types).sorted()

    private static let shares: [(weight: Int, value: String)] = [
        (44, "short"), (8, "long"), (11, "flaky"), (5, "doomed"), (6, "snoozing"), (3, "deaf"), (6, "lingering"),
        (4, "timing_out"), (4, "big"), (9, "reporting"),
    ]

    static func draw(_ random: inout SeededGenerator) throws -> NewJob {
        func between(_ low: Int, _ high: Int) -> Int { Int.random(in: low...high, using: &random) }
        let type = random.pick(shares)
        var behaviour = Behaviour(milliseconds: between(5, 200))
        var timeout: Duration?
        var maxAttempts = between(2, 5)
        switch type {
        case "long": behaviour.milliseconds = between(2000, 5000)
        case "flaky": behaviour.failures = between(1, 5)
        case "doomed": behaviour.isDoomed = true
        case "snoozing": behaviour.snoozesUntil = between(2, 4)
        case "deaf":
            behaviour.milliseconds = between(1000, 6000)
            behaviour.isDeaf = true
        case "lingering":
            behaviour.milliseconds = between(1500, 6000)
            behaviour.lingers = between(300, 500)
        case "timing_out":
            behaviour.milliseconds = 4000
            timeout = .seconds(1)
            maxAttempts = between(1, 2)
        case "big": behaviour.size = between(10_000, 300_000)
        case "reporting":
            behaviour.milliseconds = between(700, 1500)
            behaviour.reports = true
        default: break
        }
        let queues: [(weight: Int, value: String)] = [(6, "default"), (2, "narrow"), (1, "mail"), (1, "night")]
        return NewJob(
            id: UUID.random(using: &random), workspaceID: workspace, type: type,
            payload: try JSONText(encoding: behaviour), queue: random.pick(queues),
            priority: Priority(between(-10, 10)) ?? .normal,
            scheduledFor: random.chance(0.1)
                ? Timestamp(microseconds: wallClock() + Int64(between(500, 6000)) * 1000) : nil,
            maxAttempts: maxAttempts, timeout: timeout,
            uniqueKey: random.chance(0.12) ? "key-\(between(1, 25))" : nil)
    }
}
