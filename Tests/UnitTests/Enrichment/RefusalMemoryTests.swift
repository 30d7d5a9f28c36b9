import Testing

@testable import Enrichment

@Suite struct RefusalMemoryTests {
    @Test func `a refusal counts only while the stored key is the same`() {
        let reason = RefusalMemory.reason("Apollo rejected the API key.", storedKey: "v1:k1:AAAA")
        var access = WorkspaceAccess(status: "active", storedKey: "v1:k1:AAAA", refusal: reason)
        #expect(access.knownRefusal == "Apollo rejected the API key.")
        access.storedKey = "v1:k1:BBBB"
        #expect(access.knownRefusal == nil)
        #expect(!reason.contains("AAAA"))
    }

    @Test(arguments: ["suspended", "deleted"])
    func `a workspace that is not active spends nothing`(status: String) {
        #expect {
            _ = try WorkspaceAccess(status: status, storedKey: "v1:k1:AAAA").usableKey()
        } throws: { error in
            "\(error)".contains("The workspace is \(status)")
        }
    }

    @Test(arguments: [nil, ""])
    func `without a key the member is told where to enter one`(storedKey: String?) {
        #expect {
            _ = try WorkspaceAccess(status: "active", storedKey: storedKey).usableKey()
        } throws: { error in
            "\(error)".hasPrefix("Apollo API key not configured")
        }
    }
}
