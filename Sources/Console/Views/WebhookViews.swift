package import JobWorker
package import Terminal
import Postgres

/// Endpoints as lines of a table.
package struct WebhookListView: View {
    private let endpoints: [WebhookEndpoint]

    package init(_ endpoints: [WebhookEndpoint]) { self.endpoints = endpoints }

    package var json: JSON { .object([("webhooks", .array(endpoints.map(\.json)))]) }

    package func text(for screen: Screen) -> String {
        guard !endpoints.isEmpty else { return "" }
        var table = Table([
            .init("ID"), .init("WORKSPACE", widthMin: 8, weight: 2), .init("URL", widthMin: 24),
            .init("EVENTS", widthMin: 8, weight: 1), .init("TYPES", widthMin: 8, weight: 1),
            .init("NOTE", widthMin: 8),
        ])
        for endpoint in endpoints {
            table.add([
                .init(endpoint.id.text), .init(endpoint.workspaceID?.text ?? "operators"), .init(endpoint.url),
                .init(endpoint.events?.joined(separator: ", ") ?? "all"),
                .init(endpoint.jobTypes?.joined(separator: ", ") ?? "all"), note(endpoint),
            ])
        }
        return table.text(for: screen)
    }

    private func note(_ endpoint: WebhookEndpoint) -> Table.Cell {
        if !endpoint.isEnabled {
            return endpoint.disabledReason.map { .init("disabled: \($0)", .bad) } ?? .init("disabled", .caution)
        }
        guard endpoint.consecutiveFailures > 0 else { return "" }
        let next = endpoint.retryAt.map { $0 > endpoint.asOf ? ", next try \($0.ago(endpoint.asOf))" : "" } ?? ""
        return .init("\(endpoint.consecutiveFailures) failed\(next)", .caution)
    }
}

/// An endpoint that was added, with its secret.
package struct AddedWebhookView: View {
    private let endpoint: WebhookEndpoint
    private let secret: String

    package init(_ endpoint: WebhookEndpoint, secret: String) {
        self.endpoint = endpoint
        self.secret = secret
    }

    package var json: JSON {
        guard case .object(let members) = endpoint.json else { return endpoint.json }
        return .object(members + [("secret", .string(secret))])
    }

    package func text(for screen: Screen) -> String {
        "\(screen.palette.paint("id", .faint))      \(endpoint.id.text)\n"
            + "\(screen.palette.paint("secret", .faint))  \(secret)\n"
    }
}

/// Deliveries as lines of a table.
package struct DeliveryListView: View {
    private let deliveries: [WebhookDeliveryRecord]

    package init(_ deliveries: [WebhookDeliveryRecord]) { self.deliveries = deliveries }

    package var json: JSON { .object([("deliveries", .array(deliveries.map(\.json)))]) }

    package func text(for screen: Screen) -> String {
        guard !deliveries.isEmpty else { return "" }
        var table = Table([
            .init("ID"), .init("EVENT"), .init("JOB", widthMin: 8, weight: 2), .init("STATUS"),
            .init("TRIES", .right, weight: 4), .init("ANSWER", .right, weight: 5), .init("CREATED", weight: 3),
            .init("NEXT"),
            .init("ERROR", widthMin: 8, weight: 1),
        ])
        for delivery in deliveries {
            table.add([
                .init(delivery.id.text), .init(delivery.event), .init(delivery.jobID?.text ?? "-"),
                .init(delivery.status, tone(delivery)), .init(String(delivery.attempts)),
                .init(delivery.responseStatus.map(String.init) ?? "-"), .init(delivery.createdAt.ago(delivery.asOf)),
                .init(delivery.nextAttemptAt?.ago(delivery.asOf) ?? "-"), .init(delivery.error ?? ""),
            ])
        }
        return table.text(for: screen)
    }

    private func tone(_ delivery: WebhookDeliveryRecord) -> Palette.Tone? {
        switch delivery.status {
        case "delivered": .good
        case "failed": .bad
        default: nil
        }
    }
}

extension WebhookEndpoint {
    fileprivate var json: JSON {
        .object([
            ("id", .string(id.text)), ("workspace_id", JSON(workspaceID?.text)), ("url", .string(url)),
            ("events", events.map { JSON($0) } ?? .null), ("job_types", jobTypes.map { JSON($0) } ?? .null),
            ("enabled", .bool(isEnabled)), ("consecutive_failures", .integer(consecutiveFailures)),
            ("disabled_reason", JSON(disabledReason)), ("retry_at", JSON(retryAt)), ("created_at", JSON(createdAt)),
        ])
    }
}

extension WebhookDeliveryRecord {
    fileprivate var json: JSON {
        .object([
            ("id", .string(id.text)), ("endpoint_id", .string(endpointID.text)),
            ("workspace_id", JSON(workspaceID?.text)), ("job_id", JSON(jobID?.text)), ("event", .string(event)),
            ("status", .string(status)), ("attempts", .integer(attempts)), ("next_attempt_at", JSON(nextAttemptAt)),
            ("response_status", JSON(responseStatus)), ("error", JSON(error)), ("created_at", JSON(createdAt)),
            ("delivered_at", JSON(deliveredAt)),
        ])
    }
}
