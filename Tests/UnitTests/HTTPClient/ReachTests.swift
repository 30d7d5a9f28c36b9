import Support
import Testing

@testable import HTTPClient

/// Requests that may go to public addresses alone.
@Suite(.timeLimit(.minutes(5))) struct ReachTests {
    @Test(arguments: [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.9",
        "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
        "198.51.100.7", "203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255", "168.63.129.16", "100.100.100.200",
        "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1", "fc00::1", "fd00:ec2::254",
        "fe80::1", "fec0::1", "ff02::1",
    ]) func `addresses that not everybody can reach are none`(text: String) throws {
        #expect(try !#require(RemoteAddress(text: text)).isPublic)
    }

    @Test(arguments: [
        "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.167.1.1", "198.20.0.1",
        "223.255.255.1", "2606:4700::1111", "2a00:1450::1", "64:ff9b::808:808",
    ]) func `others are public`(text: String) throws {
        #expect(try #require(RemoteAddress(text: text)).isPublic)
    }

    /// Forms of this machine's own addresses; `PORT` is where the server listens.
    @Test func `no form of a private address is connected to`() async throws {
        let client = Client()
        let forms = [
            "http://127.0.0.1:PORT/", "http://127.1:PORT/", "http://2130706433:PORT/", "http://0x7f000001:PORT/",
            "http://0177.0.0.1:PORT/", "http://0x7f.0.0.1:PORT/", "http://127.0.0.1.:PORT/",
            "http://127.255.255.254:PORT/",
            "http://0.0.0.0:PORT/", "http://0:PORT/", "http://[::1]:PORT/", "http://[::]:PORT/",
            "http://[::ffff:127.0.0.1]:PORT/", "http://[::ffff:7f00:1]:PORT/", "http://[0:0:0:0:0:0:0:1]:PORT/",
            "http://[64:ff9b::7f00:1]:PORT/", "http://[fe80::1%251]:PORT/", "http://[::127.0.0.1]:PORT/",
            "http://localhost:PORT/", "http://LOCALHOST:PORT/", "http://localhost.:PORT/", "http://a.localhost:PORT/",
            "http://user:pass@127.0.0.1:PORT/", "http://example.com@127.0.0.1:PORT/", "https://127.0.0.1:PORT/",
            "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1:PORT/", "http://192.168.0.1:PORT/",
            "http://172.16.0.1:PORT/", "http://[fd00::1]:PORT/", "http://100.64.0.1:PORT/",
            "http://[2002:7f00:1::]:PORT/",
        ]
        try await withScriptedServer(reply: { _ in .answer("never") }) { server in
            for form in forms {
                var request = Request(url: form.replacing("PORT", with: "\(server.port)"), timeout: .seconds(5))
                request.reach = .publicAddresses
                await #expect(throws: HTTPError.self, "\(form)") { try await client.send(request) }
            }
            #expect(server.connectionCount == 0)
        }
        await client.shutdown()
    }

    @Test func `a name that leads to a private address is refused, each time it is looked up`() async throws {
        try await withScriptedServer(reply: { _ in .answer("never") }) { server in
            var configuration = Client.Configuration()
            configuration.hosts = ["rebinding.example.com:\(server.port):127.0.0.1"]
            let client = Client(configuration: configuration)
            var request = Request(url: "http://rebinding.example.com:\(server.port)/")
            request.reach = .publicAddresses
            do {
                _ = try await client.send(request)
                Issue.record("the request went through")
            } catch HTTPError.addressRefused(let sentence) {
                #expect(sentence.contains("127.0.0.1"))
            }
            #expect(server.connectionCount == 0)
            // A connection that another request has opened doesn't help.
            request.reach = .anywhere
            #expect(try await client.send(request).status == 200)
            request.reach = .publicAddresses
            await #expect(throws: HTTPError.self) { try await client.send(request) }
            #expect(server.connectionCount == 1)
            await client.shutdown()
        }
    }

    @Test func `a long answer to who doesn't need it is cut off`() async throws {
        let client = Client()
        try await withScriptedServer(reply: { _ in .answer([UInt8](repeating: 0x61, count: 100_000), status: 201) }) {
            server in
            var request = Request(url: server.url(), maxResponseBytes: 1000)
            request.ignoresLongBody = true
            let response = try await client.send(request)
            #expect(response.status == 201 && response.body.isEmpty)
        }
        await client.shutdown()
    }
}
