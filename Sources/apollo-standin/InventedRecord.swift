/// Values made up from a name: the same name always gives the same company and the same person.
struct InventedRecord {
    private var state: UInt64

    init(_ name: String) {
        // FNV-1a; http://www.isthe.com/chongo/tech/comp/fnv/
        state = name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    /// SplitMix64; https://prng.di.unimi.it/splitmix64.c
    private mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    private mutating func number(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(next() % UInt64(range.count))
    }

    private mutating func pick(_ choices: [String]) -> String {
        choices[number(0...(choices.count - 1))]
    }

    private mutating func identifier() -> String {
        let digits = String(next(), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    func organization(domain: String) -> JSONText {
        var random = self
        let label = InventedRecord.words(in: domain.split(separator: ".").first.map(String.init) ?? domain)
        let industry = random.pick([
            "logistics & supply chain", "computer software", "machinery", "food production", "education",
        ])
        let (city, state, country) = random.place()
        let employees = random.pick(["7", "24", "180", "420", "760", "2300", "9100"])
        let stage = random.pick(["Seed", "Series A", "Series B", "Series C"])
        let technologies = ["Nginx": "Load Balancers", "PostgreSQL": "Databases", "HubSpot": "Marketing Automation"]
        let slug = domain.split(separator: ".").first.map(String.init) ?? domain
        return [
            "organization": [
                "id": .text(random.identifier()),
                "name": .text("\(label) \(random.pick(["AB", "GmbH", "Inc.", "Ltd"]))"),
                "website_url": .text("https://www.\(domain)"),
                "primary_domain": .text(domain),
                "linkedin_url": .text("https://www.linkedin.example.com/company/\(slug)"),
                "linkedin_uid": .text(String(random.number(100_000...999_999_999))),
                "twitter_url": .text("https://twitter.example.com/\(slug)"),
                "facebook_url": nil,
                "crunchbase_url": nil,
                "primary_phone": [:],
                "phone": nil,
                "industry": .text(industry),
                "keywords": [],
                "alexa_ranking": nil,
                "estimated_num_employees": .number(Int(employees) ?? 7),
                "founded_year": .number(random.number(1950...2022)),
                "publicly_traded_symbol": nil,
                "logo_url": .text("https://img.example.com/\(slug).png"),
                "street_address": .text("Invented Street \(random.number(1...99))"),
                "city": .text(city), "state": .text(state), "country": .text(country),
                "postal_code": .text(String(random.number(10_000...99_999))),
                "short_description": .text("\(label), an invented company in \(industry)."),
                "annual_revenue": .number(random.number(1...500) * 100_000),
                "total_funding": .number(random.number(1...90) * 100_000),
                "latest_funding_stage": .text(stage),
                "latest_funding_round_date": .text(
                    "20\(random.number(10...24))-0\(random.number(1...9))-15T00:00:00.000+00:00"),
                "technology_names": .list(technologies.keys.sorted().map { .text($0) }),
                "current_technologies": .list(
                    technologies.sorted { $0.key < $1.key }.map { name, category in
                        ["uid": .text(name.lowercased()), "name": .text(name), "category": .text(category)]
                    }),
            ]
        ]
    }

    func person(_ question: AnswerBook.Question) -> JSONText {
        var random = self
        let parts = (question.localPart ?? question.subject).split { $0 == "." || $0 == "-" || $0 == "_" }
        let first = question.firstName ?? parts.first.map { InventedRecord.words(in: String($0)) } ?? "Alex"
        let last =
            question.lastName ?? (parts.count > 1 ? parts.last.map { InventedRecord.words(in: String($0)) } : nil)
            ?? "Muster"
        let (city, state, country) = random.place()
        let (title, seniority, department) = random.role()
        let slug = "\(first)-\(last)".lowercased().filter { $0.isLetter || $0.isNumber || $0 == "-" }
        var organization: JSONText = nil
        if question.email != nil,
            case .object(let whole) = InventedRecord(question.subject).organization(domain: question.subject)
        {
            organization = whole["organization"] ?? nil
        }
        return [
            "person": [
                "id": .text(random.identifier()),
                "first_name": .text(first), "last_name": .text(last), "name": .text("\(first) \(last)"),
                "title": .text(title),
                "headline": .text(title),
                "email": .text(question.email ?? "\(slug)@invented.example.com"),
                "email_status": .text(random.pick(["verified", "verified", "guessed", "unavailable"])),
                "linkedin_url": .text(question.linkedIn ?? "https://www.linkedin.example.com/in/\(slug)"),
                "twitter_url": nil,
                "github_url": .text("https://github.example.com/\(slug)"),
                "photo_url": nil,
                "city": .text(city), "state": .text(state), "country": .text(country),
                "seniority": .text(seniority),
                "departments": [.text(department)],
                "functions": [.text(department)],
                "phone_numbers": [
                    [
                        "raw_number": .text("(202) 555-01\(random.number(10...99))"),
                        "sanitized_number": .text("+120255501\(random.number(10...99))"),
                        "type": .text(random.pick(["work_direct", "mobile", "other"])),
                    ]
                ],
                "organization": organization,
                "employment_history": [],
            ]
        ]
    }

    private mutating func place() -> (city: String, state: String, country: String) {
        switch number(0...3) {
        case 0: ("Kiel", "Schleswig-Holstein", "Germany")
        case 1: ("Aarhus", "Midtjylland", "Denmark")
        case 2: ("Portland", "Oregon", "United States")
        default: ("Leeds", "England", "United Kingdom")
        }
    }

    private mutating func role() -> (title: String, seniority: String, department: String) {
        switch number(0...4) {
        case 0: ("Chief Executive Officer", "c_suite", "c_suite")
        case 1: ("VP Sales", "vp", "sales")
        case 2: ("Director of Engineering", "director", "engineering")
        case 3: ("Purchasing Manager", "manager", "operations")
        default: ("Analyst", "entry", "finance")
        }
    }

    /// `north-sea` becomes `North Sea`.
    private static func words(in label: String) -> String {
        label.split { $0 == "-" || $0 == "_" }.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined(separator: " ")
    }
}
