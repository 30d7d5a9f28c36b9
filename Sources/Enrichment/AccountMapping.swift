import JobWorker
import Postgres

/// From an organisation of Apollo's to the columns of `public.accounts`.
///
/// What Apollo leaves empty erases nothing; the name is filled in only where none is stored.
enum AccountMapping {
    /// The columns written, and read beforehand to tell what changes.
    static let columns = [
        "name", "domain", "website", "logo_url", "description", "industry", "employee_count", "employee_range",
        "annual_revenue", "funding_total", "funding_stage", "last_funding_date", "headquarters_address",
        "headquarters_city", "headquarters_state", "headquarters_postal_code", "headquarters_country",
        "founded_year", "stock_ticker", "technologies", "linkedin_url", "linkedin_id", "twitter_url",
        "facebook_url", "crunchbase_url",
    ]

    /// The columns whose values change.
    /// - Parameters:
    ///   - stored: The account's `columns`.
    ///   - year: The current year: no company was founded later.
    static func changes(_ organization: ApolloRecord, stored: StoredRow, year: Int) -> [ColumnChange] {
        var changes = ColumnChanges(stored: stored)
        changes.fill("name", organization.text("name"), width: 255)
        changes.set("domain", organization.text("primary_domain").flatMap { CompanyDomain.normalized($0) }, width: 255)
        changes.set("website", organization.link("website_url"))
        changes.set("logo_url", organization.link("logo_url"))
        changes.set("description", organization.text("short_description"), width: 20_000)
        changes.set("industry", organization.text("industry"), width: 100)
        if let employees = employees(organization) {
            changes.set("employee_count", .integer(employees))
            changes.set("employee_range", .text(employeeRange(employees)))
        }
        changes.set("annual_revenue", cents(organization.number("annual_revenue")))
        changes.set("funding_total", cents(organization.number("total_funding")))
        changes.set("funding_stage", organization.text("latest_funding_stage"), width: 50)
        changes.set("last_funding_date", date(organization.text("latest_funding_round_date")))
        changes.set("headquarters_address", organization.text("street_address"))
        changes.set("headquarters_city", organization.text("city"), width: 100)
        changes.set("headquarters_state", organization.text("state"), width: 100)
        changes.set("headquarters_postal_code", organization.text("postal_code"), width: 20)
        changes.set("headquarters_country", organization.text("country").flatMap { CountryTable.alpha2(of: $0) })
        changes.set("founded_year", foundedYear(organization.number("founded_year"), until: year))
        // A cut symbol would name another company: longer ones are left out.
        if let symbol = organization.text("publicly_traded_symbol"), symbol.unicodeScalars.count <= 10 {
            changes.set("stock_ticker", symbol)
        }
        changes.set("technologies", technologies(organization))
        changes.set("linkedin_url", organization.link("linkedin_url"))
        changes.set("linkedin_id", organization.text("linkedin_uid"), width: 50)
        changes.set("twitter_url", organization.link("twitter_url"))
        changes.set("facebook_url", organization.link("facebook_url"))
        changes.set("crunchbase_url", organization.link("crunchbase_url"))
        return changes.all
    }

    /// What `jobs.result` says of the company.
    static func summary(_ organization: ApolloRecord) -> JSONValue {
        let place = ["city", "state", "country"].compactMap { organization.text($0) }
        return [
            "name": organization.text("name").map { .string($0) } ?? nil,
            "industry": organization.text("industry").map { .string($0) } ?? nil,
            "employee_count": employees(organization).map { .integer($0) } ?? nil,
            "location": place.isEmpty ? nil : .string(place.joined(separator: ", ")),
        ]
    }

    // MARK: Conversions

    /// Apollo's 0 means unknown.
    private static func employees(_ organization: ApolloRecord) -> Int64? {
        guard let count = organization.number("estimated_num_employees"), count >= 1, count <= Double(Int32.max) else {
            return nil
        }
        return Int64(count)
    }

    static func employeeRange(_ count: Int64) -> String {
        switch count {
        case ...10: "1-10"
        case ...50: "11-50"
        case ...200: "51-200"
        case ...500: "201-500"
        case ...1000: "501-1000"
        case ...5000: "1001-5000"
        default: "5000+"
        }
    }

    /// Apollo counts whole currency units, the accounts table cents. 0 means unknown.
    static func cents(_ units: Double?) -> ColumnValue? {
        guard let units, units > 0 else { return nil }
        // Beyond 2^53 a double no longer tells cents apart, and no company is that rich.
        let cents = (units * 100).rounded()
        return cents <= 9_007_199_254_740_992 ? .integer(Int64(cents)) : nil
    }

    /// The day of an ISO time, as it is written there.
    static func date(_ text: String?) -> ColumnValue? {
        guard let day = text?.prefix(10), Timestamp(text: "\(day)T00:00:00Z") != nil else { return nil }
        return .date(String(day))
    }

    private static func foundedYear(_ year: Double?, until current: Int) -> ColumnValue? {
        guard let year, year >= 1800, year <= Double(current) else { return nil }
        return .integer(Int64(year))
    }

    /// Category → names, each in order; names without a category stand under "Other".
    static func technologies(_ organization: ApolloRecord) -> ColumnValue? {
        var groups: [String: Set<String>] = [:]
        for technology in organization.records("current_technologies") {
            guard let name = technology.text("name") else { continue }
            groups[technology.text("category") ?? "Other", default: []].insert(name)
        }
        let grouped = groups.values.reduce(into: Set<String>()) { $0.formUnion($1) }
        for case .string(let text) in organization.list("technology_names") {
            if let name = text.cleaned, !grouped.contains(name) { groups["Other", default: []].insert(name) }
        }
        guard !groups.isEmpty else { return nil }
        return .json(.object(groups.mapValues { .array($0.sorted().map { .string($0) }) }))
    }
}
