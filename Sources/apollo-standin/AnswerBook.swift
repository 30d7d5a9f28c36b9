/// Which answer belongs to which domain, e-mail address or LinkedIn address.
enum AnswerBook {
    /// What was asked for, with the name that chooses the answer.
    struct Question: Sendable {
        var endpoint: Endpoint
        /// The domain, or the last part of a LinkedIn address, in lower case.
        var subject: String
        /// What stands before the `@`, if an e-mail address was given.
        var localPart: String?
        var email: String?
        var linkedIn: String?
        var firstName: String?
        var lastName: String?
        var key: String?
    }

    /// - Parameter earlier: How often the same subject was asked for before, on any endpoint.
    static func answer(_ question: Question, earlier: Int) -> Answer {
        let subject = question.subject
        if subject.hasPrefix("unknown-") || question.localPart?.hasPrefix("unknown-") == true {
            return .fixture(PackageResources.organization_none_empty_json)
        }
        if let special = special(rule(of: subject), question, earlier: earlier) { return special }
        if subject.hasSuffix(".test") || isInvented(subject) { return match(question) }
        if question.linkedIn != nil, question.email == nil { return match(question) }
        return .fixture(PackageResources.organization_none_empty_json)
    }

    /// The name without what stands before its last two labels: `job7.flaky.test` is treated as `flaky.test`.
    private static func rule(of subject: String) -> String {
        subject.split(separator: ".").suffix(2).joined(separator: ".")
    }

    private static func isInvented(_ subject: String) -> Bool {
        ["example.com", "example.org", "example.net"].contains { subject == $0 || subject.hasSuffix("." + $0) }
    }

    private static func special(_ rule: String, _ question: Question, earlier: Int) -> Answer? {
        switch rule {
        case "nobody.test":
            return .fixture(
                question.endpoint == .organization
                    ? PackageResources.organization_none_json : PackageResources.person_none_json)
        case "hollow.test":
            return .json([question.endpoint.member: [:]])
        case "null.test":
            return .json(nil)
        case "error500.test":
            return .json(["error": "Internal Server Error"], status: 500)
        case "slow.test":
            return delayed(match(question), seconds: 60)
        case "html.test":
            return Answer(
                contentType: "text/html; charset=utf-8",
                body: .bytes(Array("<!doctype html><title>Maintenance</title><p>Back soon.".utf8)))
        case "badjson.test":
            return Answer(
                body: .bytes(Array(#"{"\#(question.endpoint.member)": {"id": "0f3a", "name": "Half a "#.utf8)))
        case "huge.test":
            return Answer(body: .endless(50 * 1024 * 1024))
        case "reset.test":
            return Answer(status: 0, body: .reset)
        case "limit.test":
            return .limited(question.endpoint, .minute, limit: 50)
        case "limit-hour.test":
            return .limited(question.endpoint, .hour, limit: 600, retryAfter: 1800)
        case "flaky.test":
            return earlier < 1 ? .json(["error": "Internal Server Error"], status: 500) : match(question)
        default:
            break
        }
        if let seconds = number(in: rule, after: "slow-") { return delayed(match(question), seconds: seconds) }
        if let status = number(in: rule, after: "error-"), (400...599).contains(status) {
            return .json(["error": .text("Status \(status)")], status: status)
        }
        if let status = number(in: rule, after: "echo-"), (400...599).contains(status) {
            let told = [question.email, question.linkedIn, question.key].compactMap { $0 }.joined(separator: " ")
            return .json(["error": .text("Status \(status) for \(rule): \(told)")], status: status)
        }
        if let seconds = number(in: rule, after: "retry-after-") {
            guard earlier < 1 else { return match(question) }
            return .limited(question.endpoint, .minute, limit: 50, retryAfter: seconds)
        }
        if let count = number(in: rule, after: "flaky-") {
            return earlier < count ? .json(["error": "Internal Server Error"], status: 500) : match(question)
        }
        return nil
    }

    private static func match(_ question: Question) -> Answer {
        switch question.endpoint {
        case .organization:
            if question.subject == "nordlicht.example.com" {
                return .fixture(PackageResources.organization_full_json, matched: true)
            }
            if question.subject == "sparse.example.org" {
                return .fixture(PackageResources.organization_sparse_json, matched: true)
            }
            return .json(InventedRecord(question.subject).organization(domain: question.subject), matched: true)
        case .person:
            let email = question.email ?? ""
            if email == "marit.oehlen@nordlicht.example.com" || question.subject == "marit-oehlen" {
                return .fixture(PackageResources.person_full_json, matched: true)
            }
            if question.localPart == "ines" || question.subject == "ines-example" {
                return .fixture(PackageResources.person_no_organization_json, matched: true)
            }
            return .json(InventedRecord(email + question.subject).person(question), matched: true)
        }
    }

    private static func delayed(_ answer: Answer, seconds: Int) -> Answer {
        var answer = answer
        answer.delay = .seconds(seconds)
        return answer
    }

    /// The N of `prefixN.test`.
    private static func number(in rule: String, after prefix: String) -> Int? {
        guard rule.hasPrefix(prefix), rule.hasSuffix(".test") else { return nil }
        return Int(rule.dropFirst(prefix.count).dropLast(".test".count)).flatMap { $0 >= 0 ? $0 : nil }
    }
}
