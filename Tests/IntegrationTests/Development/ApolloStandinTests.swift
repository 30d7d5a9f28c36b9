import HTTPClient
import Support
import Testing

@Suite struct ApolloStandinTests {
    @Test func `the stand-in answers while it runs`() async throws {
        try await ApolloStandin.with { standin in
            let client = Client()
            let response = try await client.send(Request(url: standin.url + "/standin/requests"))
            #expect(response.status == 200)
            await client.shutdown()
        }
    }
}
