import FoundationEssentials
import JobWorker

/// What an `enrich_account` job is told. Null, missing and empty text mean the same; unknown keys are ignored.
struct AccountPayload: Sendable, Hashable {
    let accountID: UUID
    /// Normalised; wins over the account's own.
    let domain: String?

    /// - Throws: `JobFailure`, final, naming the field at fault.
    init(_ payload: JSONText) throws(JobFailure) {
        let fields = try PayloadFields(payload)
        accountID = try fields.identifier("account_id")
        domain = try fields.text("domain").map { text throws(JobFailure) in
            guard let domain = CompanyDomain.normalized(text) else {
                throw .permanent(
                    """
                    Invalid payload: 'domain' is not a domain such as example.com: \
                    \(text.withoutPersonalData.prefix(100))
                    """
                )
            }
            return domain
        }
    }
}

/// What an `enrich_contact` job is told; what is given wins over what is stored.
struct ContactPayload: Sendable, Hashable {
    let contactID: UUID
    let email: String?
    let firstName: String?
    let lastName: String?
    let linkedInURL: String?

    /// - Throws: `JobFailure`, final, naming the field at fault but not its value: that is personal data.
    init(_ payload: JSONText) throws(JobFailure) {
        let fields = try PayloadFields(payload)
        contactID = try fields.identifier("contact_id")
        email = try fields.text("email")
        if let email, !EmailAddress.isPlausible(email) {
            throw .permanent("Invalid payload: 'email' is not an e-mail address")
        }
        firstName = try fields.text("first_name")
        lastName = try fields.text("last_name")
        linkedInURL = try fields.text("linkedin_url")
        if let linkedInURL, !LinkedInAddress.isPlausible(linkedInURL) {
            throw .permanent("Invalid payload: 'linkedin_url' is not a web address")
        }
    }
}

/// The address of a person's page at LinkedIn.
enum LinkedInAddress {
    static func isPlausible(_ text: String) -> Bool {
        text.utf8.count <= 2000 && text.contains(".") && text.contains("/") && !text.contains(where: \.isWhitespace)
    }

    /// One form for all spellings: lower case, without scheme, `www.`, query and trailing slash.
    static func cacheValue(_ text: String) -> String {
        var value = text.lowercased()
        if let scheme = value.firstRange(of: "://") { value.removeSubrange(..<scheme.upperBound) }
        if value.hasPrefix("www.") { value.removeFirst(4) }
        value = String(value.prefix { $0 != "?" && $0 != "#" })
        while value.last == "/" { value.removeLast() }
        return "https://" + value
    }
}

/// Reads the members of a payload.
private struct PayloadFields {
    private let members: [String: JSONValue]

    init(_ payload: JSONText) throws(JobFailure) {
        guard let members = (try? payload.decode(JSONValue.self))?.object else {
            throw .permanent("Invalid payload: a JSON object is expected")
        }
        self.members = members
    }

    func text(_ name: String) throws(JobFailure) -> String? {
        switch members[name] {
        case nil, .null: return nil
        case .string(let text): return text.cleaned
        default: throw .permanent("Invalid payload: '\(name)' must be text")
        }
    }

    func identifier(_ name: String) throws(JobFailure) -> UUID {
        guard let text = try text(name) else { throw .permanent("Missing \(name)") }
        guard let identifier = UUID(uuidString: text) else {
            throw .permanent("Invalid payload: '\(name)' is not a UUID")
        }
        return identifier
    }
}
