import Glibc
import HTTPClient
import Support
import Testing

@Suite(.timeLimit(.minutes(5)))
struct HTTPClientTests {
    private let client = Client()

    @Test func `a request arrives as it was given`() async throws {
        let gotten = try await withScriptedServer(reply: {
            .answer("\($0.method) \($0.path) \($0.headers.map { "\($0.name)=\($0.value)" }) \($0.body)")
        }) { server in
            let response = try await client.send(
                Request(
                    method: "PATCH", url: server.url("/a%20b?c=d"),
                    headers: [("X-First", "1"), ("X-Empty", ""), ("x-first", "two: 2")], body: [0, 1, 255]))
            #expect(response.status == 200)
            return String(decoding: response.body, as: UTF8.self)
        }
        #expect(gotten.hasPrefix("PATCH /a%20b?c=d "))
        #expect(gotten.hasSuffix(" [0, 1, 255]"))
        for header in ["X-First=1", "X-Empty=", "x-first=two: 2", "Content-Length=3", "User-Agent=jobworker"] {
            #expect(gotten.contains("\"\(header)\""))
        }
        // What libcurl adds to a body by itself.
        #expect(!gotten.lowercased().contains("content-type"))
        #expect(!gotten.lowercased().contains("expect"))
    }

    @Test func `a long body is sent at once, and echoed`() async throws {
        let body = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        try await withScriptedServer(reply: {
            .answer($0.body, headers: ["X-Expect: \($0.header("expect") ?? "none")"])
        }) { server in
            let response = try await client.send(Request(method: "POST", url: server.url(), body: body))
            #expect(response.body == body)
            #expect(response.header("X-Expect") == "none")
        }
    }

    @Test(arguments: ["POST", "PUT", "PATCH"])
    func `a method that has a body says so when there is none`(method: String) async throws {
        try await withScriptedServer(reply: { .answer($0.header("content-length") ?? "absent") }) { server in
            let response = try await client.send(Request(method: method, url: server.url()))
            #expect(String(decoding: response.body, as: UTF8.self) == "0")
        }
    }

    @Test func `HEAD has a length but no body`() async throws {
        try await withScriptedServer(reply: { _ in
            .bytes(Array("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n".utf8))
        }) { server in
            let response = try await client.send(Request(method: "HEAD", url: server.url(), maxResponseBytes: 10))
            #expect(response.header("content-length") == "99999999")
            #expect(response.body == [])
        }
    }

    @Test func `a second request goes over the first one's connection`() async throws {
        try await withScriptedServer(reply: { .answer($0.path) }) { server in
            for path in ["/1", "/2", "/3"] {
                let response = try await client.send(Request(url: server.url(path)))
                #expect(response.body == Array(path.utf8))
            }
            #expect(server.connectionCount == 1)
        }
    }

    @Test func `fifty requests are under way at once`() async throws {
        let client = Client(configuration: .init(maxConnectionsPerHost: 50))
        let gate = ThreadGate()
        try await withScriptedServer(reply: { request in
            gate.wait()
            return .answer(request.path)
        }) { server in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<50 {
                    group.addTask {
                        let response = try await client.send(Request(url: server.url("/\(number)")))
                        return response.body == Array("/\(number)".utf8)
                    }
                }
                // Nobody is answered before everybody has asked.
                for _ in 0..<50 { await server.wait(for: .connected) }
                gate.open()
                for try await isRight in group { #expect(isRight) }
            }
            #expect(server.connectionCount == 50)
        }
    }

    @Test func `no more connections are opened than allowed`() async throws {
        let client = Client(configuration: .init(maxConnectionsPerHost: 2))
        try await withScriptedServer(reply: { .answer($0.path) }) { server in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<30 { group.addTask { try await client.send(Request(url: server.url())).status } }
                for try await status in group { #expect(status == 200) }
            }
            #expect((1...2).contains(server.connectionCount))
        }
    }

    @Test func `a redirect is an answer`() async throws {
        try await withScriptedServer(reply: { _ in .answer("moved", status: 302, headers: ["Location: /elsewhere"]) }) {
            server in
            let response = try await client.send(Request(url: server.url()))
            #expect(response.status == 302)
            #expect(response.header("location") == "/elsewhere")
            #expect(response.body == Array("moved".utf8))
        }
    }

    @Test func `an interim answer is left out`() async throws {
        let bytes = Array(
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\nA: b\r\n\r\nok"
                .utf8)
        try await withScriptedServer(reply: { _ in .bytes(bytes) }) { server in
            let response = try await client.send(Request(url: server.url()))
            #expect(response.status == 201)
            #expect(response.headers.map(\.name) == ["Content-Length", "A"])
            #expect(response.body == Array("ok".utf8))
        }
    }

    @Test func `a Unix socket takes the place of host and port`() async throws {
        let path = "/tmp/jobworker-test-\(getpid())-\(UInt32.random(in: 0 ... .max)).sock"
        try await withScriptedServer(path: path, reply: { .answer($0.header("host") ?? "") }) { _ in
            let response = try await client.send(Request(url: "http://control.invalid/x", unixSocketPath: path))
            #expect(response.body == Array("control.invalid".utf8))
        }
    }
}
