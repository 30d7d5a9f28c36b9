package import JobWorker
import Postgres

/// Whether events reach their endpoints.
package enum WebhookCheck {
    /// Longer than this no delivery waits while workers send.
    private static let waitMax = Duration.seconds(600)

    package static func findings(_ survey: WebhookSurvey) -> [Finding] {
        guard survey.endpoints > 0 else { return [] }
        var findings: [Finding] = []
        if survey.disabled > 0 {
            findings.append(
                .warn(
                    "webhooks",
                    "\(counted(survey.disabled, "endpoint")) disabled, as tries failed or the receiver wants no more",
                    advice: "'jobworker webhooks list' tells why; 'jobworker webhooks enable' turns one on again."))
        }
        if survey.failing > 0 {
            findings.append(
                .warn(
                    "webhooks", "\(counted(survey.failing, "endpoint")) failed at the last tries",
                    advice: "'jobworker webhooks deliveries' shows the receivers' answers."))
        }
        if let wait = survey.longestWait, wait > waitMax {
            findings.append(
                .warn(
                    "webhooks",
                    "\(counted(survey.waiting, "delivery", "deliveries")) due, the oldest for \(wait.components.seconds / 60) min",
                    advice: "Workers of this version send them: see whether one runs, and its log."))
        }
        return findings.isEmpty
            ? [.ok("webhooks", "\(counted(survey.endpoints, "endpoint")), all of them heard")] : findings
    }
}

private func counted(_ count: Int, _ noun: String, _ plural: String) -> String {
    "\(count) \(count == 1 ? noun : plural)"
}
