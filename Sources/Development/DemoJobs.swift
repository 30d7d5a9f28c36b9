package import FoundationEssentials
package import JobWorker
import Postgres

/// The jobs of the demonstration, and how each has to end.
package struct DemoJob: Sendable {
    package let id = UUID()
    /// What it shows, in a few words.
    package let title: String
    package let type: String
    package let workspaceID: UUID
    package let payload: JSONText
    package let expected: Expectation
    /// Whether it is added once all others have ended.
    package var isLate = false

    /// What must be true of the row at the end.
    package struct Expectation: Sendable {
        package let status: JobStatus
        package let attempts: Int
        /// A part of the error message; `nil` where there is none.
        package let message: String?
        /// `jobs.result.credits_used`; `nil` where it isn't looked at.
        package let credits: Int64?
        /// A part of a log row that tells why it waited; `nil` where it must not have waited.
        package let log: String?
    }

    package var newJob: NewJob {
        NewJob(id: id, workspaceID: workspaceID, type: type, payload: payload)
    }

    /// - Returns: What differs from the expectation, in words; empty where nothing does.
    package func differences(
        status: JobStatus, attempts: Int, message: String?, result: JSONValue?, log: [String]
    ) -> [String] {
        var found: [String] = []
        if status != expected.status { found.append("\(status.rawValue) instead of \(expected.status.rawValue)") }
        if attempts != expected.attempts { found.append("\(attempts) attempts instead of \(expected.attempts)") }
        if let part = expected.message, message?.contains(part) != true {
            found.append("the message lacks '\(part)': \(message ?? "none")")
        }
        if expected.status == .completed, let message { found.append("an error message: \(message)") }
        if let credits = expected.credits, result?["credits_used"]?.integer != credits {
            found.append("not \(credits) credits in the result")
        }
        if let part = expected.log, !log.contains(where: { $0.contains(part) }) {
            found.append("no log row with '\(part)'")
        }
        return found
    }
}

extension DemoJob {
    /// Every kind of course a job can take, in the sample workspace.
    package static func all() -> [DemoJob] {
        let accounts = SampleWorkspace.accounts
        let contacts = SampleWorkspace.contacts
        return [
            account("a company, everything known", accounts[0], .completed, credits: 1),
            account("a company", accounts[1], .completed, credits: 1),
            account("a company", accounts[2], .completed, credits: 1),
            account("a company, little known", accounts[3], .completed, credits: 1),
            contact("a person, everything known", contacts[0], .completed, credits: 1),
            contact("a person", contacts[1], .completed, credits: 1),
            account("asked for again: from the cache, free", accounts[0], .completed, credits: 0, isLate: true),
            account(
                "Apollo.io fails once: retried", accounts[5], .completed, attempts: 2, credits: 1,
                log: "will be tried again"),
            account("Apollo.io asks to wait: snoozed", accounts[6], .completed, credits: 1, log: "Waiting"),
            account("a company nobody knows", accounts[4], .failed, message: "No organization data found"),
            account("a company without a domain", accounts[7], .failed, message: "No domain available"),
            contact("a person nobody knows", contacts[2], .failed, message: "No person data found"),
            contact("a person without an address", contacts[3], .failed, message: "Email or LinkedIn URL required"),
            DemoJob(
                title: "a workspace without a key", type: "enrich_account", workspaceID: SampleWorkspace.withoutKey,
                payload: JSONText("{\"account_id\":\"\(SampleWorkspace.foreignAccount.id.text)\"}"),
                expected: Expectation(
                    status: .failed, attempts: 1, message: "Apollo API key not configured", credits: nil, log: nil)),
        ]
    }

    private static func account(
        _ title: String, _ subject: SampleWorkspace.Subject, _ status: JobStatus, attempts: Int = 1,
        message: String? = nil, credits: Int64? = nil, log: String? = nil, isLate: Bool = false
    ) -> DemoJob {
        DemoJob(
            title: "\(subject.name): \(title)", type: "enrich_account", workspaceID: SampleWorkspace.enriched,
            payload: JSONText("{\"account_id\":\"\(subject.id.text)\"}"),
            expected: Expectation(status: status, attempts: attempts, message: message, credits: credits, log: log),
            isLate: isLate)
    }

    private static func contact(
        _ title: String, _ subject: SampleWorkspace.Subject, _ status: JobStatus, message: String? = nil,
        credits: Int64? = nil
    ) -> DemoJob {
        DemoJob(
            title: "\(subject.name): \(title)", type: "enrich_contact", workspaceID: SampleWorkspace.enriched,
            payload: JSONText("{\"contact_id\":\"\(subject.id.text)\"}"),
            expected: Expectation(status: status, attempts: 1, message: message, credits: credits, log: nil))
    }
}
