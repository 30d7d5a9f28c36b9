import JobWorker
import Postgres

/// Why Apollo gave no usable answer.
enum ApolloFault: Error, Sendable, Hashable {
    /// 401. The key is wrong or was withdrawn.
    case keyRejected(detail: String)
    /// 403. Plan or key do not include the endpoint.
    case endpointRefused(detail: String)
    /// 402, or 422 with a text about credits.
    case creditsUsedUp(detail: String)
    /// 429. `retryAfter` is what the answer asked for, `window` what it named.
    case rateLimited(retryAfter: Duration?, window: ApolloWindow?, detail: String)
    /// 408, 425 or 503 with a time to come back at.
    case comeBack(after: Duration, status: Int)
    /// Another 4xx: the same request will be refused again.
    case refused(status: Int, detail: String)
    /// 5xx and what else can't be expected to last.
    case unavailable(status: Int, detail: String)
    /// 200 with something that is not Apollo's.
    case unreadable(String)
    case timedOut
    /// No connection, or one that broke.
    case unreachable(String)

    /// What the metric's label says: the status, or a word.
    var label: String {
        switch self {
        case .keyRejected: "401"
        case .endpointRefused: "403"
        case .creditsUsedUp: "402"
        case .rateLimited: "429"
        case .comeBack(_, let status), .refused(let status, _), .unavailable(let status, _): String(status)
        case .unreadable: "unreadable"
        case .timedOut: "timeout"
        case .unreachable: "unreachable"
        }
    }
}

/// The windows Apollo counts requests in.
enum ApolloWindow: String, Sendable, Hashable {
    case minute, hour, day

    /// How long to keep still: the window's own length, but look again every hour.
    var pause: Duration { self == .minute ? .seconds(60) : .seconds(3600) }

    /// The window a 429 names: `… is 600 times per hour.`
    init?(in message: String) {
        let message = message.lowercased()
        let found = [ApolloWindow.minute, .hour, .day].first {
            message.contains("per \($0.rawValue)") || message.contains("times a \($0.rawValue)")
        }
        guard let found else { return nil }
        self = found
    }
}

extension ApolloFault {
    /// Whether it is remembered for the workspace and endpoint: no further call while it holds.
    var isRemembered: Bool {
        switch self {
        case .keyRejected, .endpointRefused, .creditsUsedUp: true
        default: false
        }
    }

    /// What the members of the workspace are told, and what follows.
    func failure(_ endpoint: ApolloEndpoint) -> JobFailure {
        switch self {
        case .keyRejected(let detail):
            .permanent(
                """
                Apollo rejected the API key of this workspace. Ask a workspace admin to enter a valid key in the \
                workspace settings.
                """,
                causes: ["Apollo 401: \(detail)"])
        case .endpointRefused(let detail):
            .permanent(
                """
                Apollo does not allow this API key to use \(endpoint.rawValue): the key or its plan lacks this \
                endpoint. Ask a workspace admin to check the Apollo plan and key.
                """,
                causes: ["Apollo 403: \(detail)"])
        case .creditsUsedUp(let detail):
            .permanent(
                """
                Apollo credits used up. Ask a workspace admin to buy credits at Apollo or to wait for their \
                renewal, then retry the job.
                """,
                causes: ["Apollo: \(detail)"])
        case .rateLimited(_, _, let detail):
            .retryable("Rate limit exceeded at Apollo: \(detail)", causes: ["Apollo 429: \(detail)"])
        case .comeBack(let delay, let status):
            .snooze(
                for: delay,
                "Apollo is not available (status \(status)) and asked to come back in \(delay.wholeSeconds) s.")
        case .refused(let status, let detail):
            .permanent(
                "Apollo refused the request (status \(status)): \(detail)", causes: ["Apollo \(status): \(detail)"])
        case .unavailable(let status, let detail):
            .retryable("Apollo answered with an error (status \(status)).", causes: ["Apollo \(status): \(detail)"])
        case .unreadable(let reason):
            .retryable("Apollo's answer could not be read: \(reason)", causes: ["Apollo: \(reason)"])
        case .timedOut:
            .retryable("Apollo did not answer in time.", causes: ["Apollo: timed out"])
        case .unreachable(let reason):
            .retryable("Apollo could not be reached.", causes: ["Apollo: \(reason)"])
        }
    }
}

extension Duration {
    /// Rounded up, at least 1.
    var wholeSeconds: Int64 {
        let (seconds, attoseconds) = components
        return max(1, seconds + (attoseconds > 0 ? 1 : 0))
    }

    /// For intervals that come out of the database as seconds with a fraction.
    static func fractionalSeconds(_ seconds: Double) -> Duration {
        seconds.isFinite
            ? .milliseconds(Int64((min(max(seconds, 0), 1e9) * 1000).rounded(.up))) : .seconds(1_000_000_000)
    }
}
