import FoundationEssentials
package import HTTPClient
package import JobWorker
package import Webhooks

/// Runs the jobs of one type by asking an endpoint: https://www.standardwebhooks.com says how the request is signed.
package struct HTTPProcessor: JobProcessor {
    package let jobTypes: [String]
    package let terms: ProcessorTerms
    private let settings: HTTPSettings
    private let secret: WebhookSecret
    private let client: Client
    private let tokens: AttemptTokens?
    private let userAgent: String

    package init(
        _ definition: HandlerDefinition, _ settings: HTTPSettings, secret: WebhookSecret, client: Client,
        tokens: AttemptTokens?, version: String
    ) {
        jobTypes = [definition.jobType]
        terms = ProcessorTerms(
            timeout: definition.timeout, maxConcurrent: definition.maxConcurrent,
            isForOperatorsOnly: definition.audience == .operators)
        self.settings = settings
        self.secret = secret
        self.client = client
        self.tokens = tokens
        userAgent = settings.userAgent ?? "jobworker/\(version)"
    }

    package func process(_ job: Job, context: JobContext) async throws -> JSONText? {
        let now = Int(Date().timeIntervalSince1970)
        let left = context.deadline - .now
        let token = context.lease.flatMap { lease in
            // A little longer than the attempt: clocks differ.
            tokens?.token(
                for: .init(jobID: job.id, lease: lease), expiry: now + Int(max(0, left.components.seconds)) + 60)
        }
        let body = Array(try JobDocument(job, attemptToken: token).text.utf8)
        let request = Request(
            method: "POST", url: settings.url,
            headers: [("Content-Type", "application/json"), ("User-Agent", userAgent)]
                // A name for each claim: who remembers names must not take the second attempt for the first. The number
                // of the attempt comes again where one was given back; the lease's token never does.
                + secret.headers(
                    id: "\(job.id.uuidString.lowercased()).\(context.lease ?? Int64(job.attempt))", timestamp: now,
                    body: body),
            // The attempt's own limit ends the request, and says so; this one is for what runs without a worker.
            body: body, timeout: max(left, .seconds(1)) + .seconds(1), maxResponseBytes: HTTPProcessor.answerMax)
        let response: Response
        do {
            response = try await client.send(request)
        } catch HTTPError.responseTooLarge(let limit) {
            throw JobFailure.permanent(
                "The endpoint's answer is longer than \(limit) bytes; store the data elsewhere and answer with a reference"
            )
        } catch let error as HTTPError {
            throw JobFailure.retryable("The endpoint gave no answer: \(error)", causes: ["HTTPError: \(error)"])
        }
        return try HTTPProcessor.result(of: response)
    }

    private static let answerMax = 1 << 20

    /// What an answer means for the job.
    static func result(of response: Response) throws -> JSONText? {
        let body = LineSplitter.Line.text(response.body)
        switch response.status {
        case 200...299: return try ResultText.of(body)
        case 408, 425, 429, 500...599:
            let sentence = "The endpoint answered \(response.status)"
            if let wait = RetryAfter.delay(
                header("retry-after", of: response), date: header("date", of: response))
            {
                throw JobFailure.snooze(for: wait, "\(sentence) and asks to wait")
            }
            throw JobFailure.retryable(sentence, causes: causes(response, body))
        case 300...399:
            throw JobFailure.retryable(
                "The endpoint answered \(response.status): redirects are not followed; put the right URL into the handler's file",
                causes: causes(response, body))
        default:
            throw JobFailure.permanent(
                "The endpoint refused the job with \(response.status)", causes: causes(response, body))
        }
    }

    private static func causes(_ response: Response, _ body: String) -> [String] {
        ["HTTP status \(response.status)"] + (body.isEmpty ? [] : ["Body: \(body.prefix(2000))"])
    }

    private static func header(_ name: String, of response: Response) -> String? {
        response.headers.first { $0.name.lowercased() == name }?.value
    }
}
