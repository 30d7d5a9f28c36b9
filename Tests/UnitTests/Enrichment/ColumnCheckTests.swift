import Testing

@testable import Enrichment

@Suite struct ColumnCheckTests {
    @Test func `what is missing is named, with the job types it concerns`() {
        let everything = ColumnCheck.missing(present: []).values.joined().map { String($0.dropFirst("public.".count)) }
        #expect(ColumnCheck.missing(present: Set(everything)).isEmpty)
        let missing = ColumnCheck.missing(present: Set(everything).subtracting(["accounts.headquarters_city"]))
        #expect(missing == ["enrich_account": ["public.accounts.headquarters_city"]])
        #expect(ColumnCheck.sentence(missing)?.contains("enrich_account not served") == true)
        #expect(ColumnCheck.sentence([:]) == nil)
    }

    @Test func `a missing cache concerns both job types`() {
        let everything = ColumnCheck.missing(present: []).values.joined().map { String($0.dropFirst("public.".count)) }
        let missing = ColumnCheck.missing(present: Set(everything).subtracting(["enrichment_cache.expires_at"]))
        #expect(missing.keys.sorted() == ["enrich_account", "enrich_contact"])
    }
}
