package import Postgres

/// How a worker is, in one value: the document of `GET /health`.
package struct HealthReport: Sendable, Hashable {
    package enum Status: String, Sendable, Hashable, Codable, Comparable {
        case healthy, degraded, unhealthy

        package static func < (left: Status, right: Status) -> Bool { left.rank < right.rank }

        private var rank: Int {
            switch self {
            case .healthy: 0
            case .degraded: 1
            case .unhealthy: 2
            }
        }
    }

    package struct Environment: Sendable, Hashable, Codable {
        package let region: String
        package let env: String
    }

    package struct Database: Sendable, Hashable {
        package let isConnected: Bool
        /// Round trip of the latest poll.
        package let latencyMilliseconds: Double?
        package let isListening: Bool
    }

    package let status: Status
    /// Why it isn't healthy, in sentences, the worst first.
    package let reasons: [String]
    /// Whether a worker runs in this process.
    package let workerExists: Bool
    package let workerID: String?
    package let timestamp: Timestamp
    package let environment: Environment
    package let version: String
    package let uptimeSeconds: Int
    package let running: Int
    package let maxConcurrent: Int
    package let queues: [String]
    package let lastPollAt: Timestamp?
    package let database: Database
}

// The keys are the outer surface: they stay. What is unknown is there, as null.

extension HealthReport: Codable {
    private enum CodingKeys: String, CodingKey {
        case status, reasons, timestamp, environment, version, running, queues, database
        case workerExists = "worker_exists"
        case workerID = "worker_id"
        case uptimeSeconds = "uptime_seconds"
        case maxConcurrent = "max_concurrent"
        case lastPollAt = "last_poll_at"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(status, forKey: .status)
        try container.encode(reasons, forKey: .reasons)
        try container.encode(workerExists, forKey: .workerExists)
        try container.encode(workerID, forKey: .workerID)
        try container.encode(timestamp, forKey: .timestamp)
        try container.encode(environment, forKey: .environment)
        try container.encode(version, forKey: .version)
        try container.encode(uptimeSeconds, forKey: .uptimeSeconds)
        try container.encode(running, forKey: .running)
        try container.encode(maxConcurrent, forKey: .maxConcurrent)
        try container.encode(queues, forKey: .queues)
        try container.encode(lastPollAt, forKey: .lastPollAt)
        try container.encode(database, forKey: .database)
    }
}

extension HealthReport.Database: Codable {
    private enum CodingKeys: String, CodingKey {
        case isConnected = "connected"
        case latencyMilliseconds = "latency_ms"
        case isListening = "listening"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(isConnected, forKey: .isConnected)
        try container.encode(latencyMilliseconds, forKey: .latencyMilliseconds)
        try container.encode(isListening, forKey: .isListening)
    }
}
