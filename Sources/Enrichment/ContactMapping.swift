import JobWorker

/// From a person of Apollo's to the columns of `public.contacts`.
///
/// What Apollo leaves empty erases nothing; names are filled in only where none is stored. `status` and
/// `do_not_contact` are never written: enrichment must not bring back people who opted out.
enum ContactMapping {
    /// The columns written, and read beforehand to tell what changes.
    static let columns = [
        "first_name", "last_name", "full_name", "email", "email_status", "job_title", "seniority_level",
        "department", "phone", "mobile_phone", "direct_dial", "city", "state", "country", "linkedin_url",
        "twitter_url", "github_username",
    ]

    /// The columns whose values change.
    /// - Parameter stored: The contact's `columns`.
    static func changes(_ person: ApolloRecord, stored: StoredRow) -> [ColumnChange] {
        var changes = ColumnChanges(stored: stored)
        changes.fill("first_name", person.text("first_name"), width: 100)
        changes.fill("last_name", person.text("last_name"), width: 100)
        changes.fill("full_name", person.text("name"), width: 255)
        setEmail(person, stored: stored, &changes)
        changes.set("job_title", person.text("title"), width: 255)
        changes.set("seniority_level", person.text("seniority").flatMap { seniorityLevel($0) })
        changes.set("department", person.list("departments").lazy.compactMap { $0.string?.cleaned }.first, width: 100)
        let phones = phones(person)
        changes.set("phone", phones.first?.number, width: 50)
        changes.set("mobile_phone", phones.first { $0.kind == .mobile }?.number, width: 50)
        changes.set("direct_dial", phones.first { $0.kind == .direct }?.number, width: 50)
        changes.set("city", person.text("city"), width: 100)
        changes.set("state", person.text("state"), width: 100)
        changes.set("country", person.text("country").flatMap { CountryTable.alpha2(of: $0) })
        changes.set("linkedin_url", person.link("linkedin_url"))
        changes.set("twitter_url", person.link("twitter_url"))
        changes.set("github_username", githubUsername(person.link("github_url")), width: 100)
        return changes.all
    }

    /// What `jobs.result` says of the person.
    static func summary(_ person: ApolloRecord) -> JSONValue {
        [
            "name": person.text("name").map { .string($0) } ?? nil,
            "title": person.text("title").map { .string($0) } ?? nil,
            "email": email(person).map { .string($0) } ?? nil,
            "phone": phones(person).first.map { .string($0.number) } ?? nil,
        ]
    }

    // MARK: Conversions

    /// The address, unless it is Apollo's placeholder or nothing the table takes.
    static func email(_ person: ApolloRecord) -> String? {
        guard let email = person.text("email"), !EmailAddress.isPlaceholder(email), EmailAddress.isStorable(email)
        else {
            return nil
        }
        return email
    }

    /// A new address brings its own status. For the one already stored, Apollo's word can only confirm an
    /// unverified address: what bounced here stays bounced.
    private static func setEmail(_ person: ApolloRecord, stored: StoredRow, _ changes: inout ColumnChanges) {
        guard let email = email(person) else { return }
        let isVerified = person.text("email_status")?.lowercased() == "verified"
        if stored["email"]?.lowercased() == email.lowercased() {
            if isVerified, stored.isEmpty("email_status") || stored["email_status"] == "unverified" {
                changes.set("email_status", "verified")
            }
        } else {
            changes.set("email", email)
            changes.set("email_status", isVerified ? "verified" : "unverified")
        }
    }

    static func seniorityLevel(_ seniority: String) -> String? {
        switch seniority.lowercased() {
        case "owner", "founder", "c_suite", "partner": "C-Level"
        case "vp": "VP"
        case "head", "director": "Director"
        case "manager": "Manager"
        case "senior", "entry", "junior", "intern", "training": "Individual Contributor"
        default: nil
        }
    }

    enum PhoneKind: Sendable { case mobile, direct, other }

    /// The numbers found, in Apollo's order; those of the workspace's own record only if there are no others.
    static func phones(_ person: ApolloRecord) -> [(number: String, kind: PhoneKind)] {
        let own = numbers(person.records("phone_numbers"))
        return own.isEmpty ? numbers(person.record("contact")?.records("phone_numbers") ?? []) : own
    }

    private static func numbers(_ records: [ApolloRecord]) -> [(number: String, kind: PhoneKind)] {
        records.compactMap { record in
            guard let number = record.text("sanitized_number") ?? record.text("raw_number") else { return nil }
            return switch (record.text("type") ?? record.text("type_cd"))?.lowercased() {
            case "mobile": (number, .mobile)
            case "work_direct", "direct_dial", "direct": (number, .direct)
            default: (number, .other)
            }
        }
    }

    /// The last part of `https://github.com/name`.
    static func githubUsername(_ link: String?) -> String? {
        guard let link else { return nil }
        let path = link.firstRange(of: "://").map { String(link[$0.upperBound...]) } ?? link
        let parts = path.prefix { $0 != "?" && $0 != "#" }.split(separator: "/")
        return parts.count >= 2 ? parts.last.map(String.init) : nil
    }
}
