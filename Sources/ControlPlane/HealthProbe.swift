import FoundationEssentials
package import HTTPClient

/// Asks a worker on this host how it is, over its Unix socket.
package struct HealthProbe: Sendable {
    package enum Outcome: Sendable, Hashable {
        /// - `text`: the document as it came.
        case answered(HealthReport, text: String)
        /// Something answers there, but not with a health document.
        case notUnderstood(status: Int)
        /// Nobody answered; why.
        case unreachable(String)
    }

    private let client: Client
    private let timeout: Duration

    /// - Parameter timeout: For the whole exchange.
    package init(client: Client, timeout: Duration = .seconds(5)) {
        self.client = client
        self.timeout = timeout
    }

    /// - Throws: `CancellationError` alone.
    package func check(socketPath: String) async throws(CancellationError) -> Outcome {
        // The host is for form's sake: the socket decides who is asked.
        let request = Request(
            url: "http://localhost/health", timeout: timeout, connectTimeout: timeout, maxResponseBytes: 1024 * 1024,
            unixSocketPath: socketPath)
        let response: Response
        do {
            response = try await client.send(request)
        } catch let error as CancellationError {
            throw error
        } catch {
            return .unreachable("\(error)")
        }
        guard let report = try? JSONDecoder().decode(HealthReport.self, from: Data(response.body)) else {
            return .notUnderstood(status: response.status)
        }
        return .answered(report, text: String(decoding: response.body, as: UTF8.self))
    }
}

extension HealthProbe.Outcome {
    /// 0 healthy, 1 not, 69 nobody there.
    /// - Parameter isStrict: Whether degraded is not good enough.
    package func exitStatus(isStrict: Bool) -> Int32 {
        switch self {
        case .answered(let report, _):
            switch report.status {
            case .healthy: 0
            case .degraded: isStrict ? 1 : 0
            case .unhealthy: 1
            }
        case .notUnderstood: 1
        case .unreachable: 69
        }
    }
}
