import Testing

@testable import Enrichment

@Suite struct CountryTableTests {
    @Test(arguments: [
        ("Germany", "DE"), ("germany", "DE"), (" United States ", "US"), ("USA", "US"), ("U.S.A.", "US"),
        ("The Netherlands", "NL"), ("Côte d'Ivoire", "CI"), ("Cote d’Ivoire", "CI"), ("Türkiye", "TR"),
        ("Turkey", "TR"),
        ("Bosnia & Herzegovina", "BA"), ("Korea, Republic of", "KR"), ("Czech Republic", "CZ"), ("UK", "GB"),
        ("gb", "GB"), ("Viet Nam", "VN"), ("Guinea-Bissau", "GW"), ("Hong Kong", "HK"), ("Réunion", "RE"),
        ("Congo, Democratic Republic of the", "CD"), ("U.S. Virgin Islands", "VI"), ("Åland Islands", "AX"),
    ])
    func `a country's name gives its code`(name: String, code: String) {
        #expect(CountryTable.alpha2(of: name) == code)
    }

    @Test(arguments: ["Republic of Nowhere", "", "ZZ", "Schleswig-Holstein", "the"])
    func `an unknown name gives none`(name: String) {
        #expect(CountryTable.alpha2(of: name) == nil)
    }
}
