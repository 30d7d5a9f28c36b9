import Development
import HTTPClient
import Support
import Testing

@Suite struct StandinTests {
    @Test func `the stand-in answers while it runs`() async throws {
        try await Standin.with { standin in
            let client = Client()
            let response = try await client.send(Request(url: standin.url + "/standin/requests"))
            #expect(response.status == 200)
            await client.shutdown()
        }
    }
}
