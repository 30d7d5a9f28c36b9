package import Enrichment
import FoundationEssentials
package import HTTPClient
package import JobWorker
import Postgres

/// Sends deliveries by HTTP, signed: https://github.com/standard-webhooks/standard-webhooks
package struct WebhookSender: WebhookTransport {
    /// For name, connection, request and answer together.
    private static let timeout = Duration.seconds(10)
    /// What a receiver answers is not looked at; this much is taken so that its connection can be used again.
    private static let answerBytesMax = 64 * 1024

    private let client: Client
    private let vault: KeyVault

    /// - Parameter client: One of its own: what others may reach is not for webhooks.
    package init(client: Client, vault: KeyVault) {
        self.client = client
        self.vault = vault
    }

    package func send(_ delivery: WebhookDelivery, reachesPrivate: Bool) async -> WebhookAnswer? {
        let secret: WebhookSecret
        do throws(KeyVaultError) {
            secret = try WebhookSecret(
                stored: delivery.sealedSecret, vault: vault, workspace: delivery.workspaceID)
        } catch {
            return WebhookAnswer(outcome: .failed, error: WebhookSender.sentence(about: error))
        }
        var request = request(delivery, secret)
        request.reach = reachesPrivate ? .anywhere : .publicAddresses
        do {
            return WebhookSender.judge(try await client.send(request))
        } catch is CancellationError {
            return nil
        } catch HTTPError.clientShutDown {
            return nil
        } catch {
            return WebhookAnswer(outcome: .failed, error: WebhookSender.clean("\(error)"))
        }
    }

    private func request(_ delivery: WebhookDelivery, _ secret: WebhookSecret) -> Request {
        let id = delivery.id.text
        let timestamp = Int(Date().timeIntervalSince1970)
        let body = Array(WebhookSender.body(of: delivery).utf8)
        var request = Request(
            method: "POST", url: delivery.url,
            headers: [("Content-Type", "application/json")] + secret.headers(id: id, timestamp: timestamp, body: body),
            body: body, timeout: WebhookSender.timeout, maxResponseBytes: WebhookSender.answerBytesMax)
        request.ignoresLongBody = true
        request.usesProxy = false
        return request
    }

    /// The same at every try.
    static func body(of delivery: WebhookDelivery) -> String {
        // An event's name holds letters, dots and underscores alone.
        """
        {"type":"\(delivery.event)","timestamp":"\(delivery.createdAt.text(fractionDigits: 3))","data":\(delivery.data)}
        """
    }

    static func judge(_ response: Response) -> WebhookAnswer {
        let status = response.status
        switch status {
        case 200..<300: return WebhookAnswer(outcome: .delivered, status: status)
        case 410: return WebhookAnswer(outcome: .gone, status: status, error: "the receiver answered 410")
        case 300..<400:
            return WebhookAnswer(
                outcome: .failed, status: status, error: "the receiver answered \(status): redirects are not followed")
        default:
            return WebhookAnswer(
                outcome: .failed, status: status, error: "the receiver answered \(status)",
                retryAfter: RetryAfter.delay(response.header("Retry-After"), date: response.header("Date")))
        }
    }

    private static func sentence(about error: KeyVaultError) -> String {
        switch error {
        case .noKeys: "WORKER_ENCRYPTION_KEYS is not set, so that the endpoint's secret can't be decrypted"
        case .unknownKey(let id):
            "the endpoint's secret was encrypted with the key '\(id)', which is not in WORKER_ENCRYPTION_KEYS"
        case .badKey, .unreadable: "the endpoint's secret can't be decrypted: remove the endpoint and add it again"
        }
    }

    /// As the database can store it, and of a bounded length.
    private static func clean(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.lazy.filter { $0.value >= 0x20 }.prefix(500)))
    }
}
