import Glibc
import HTTPClient
import Support
import Testing

@Suite(.timeLimit(.minutes(5)))
struct HTTPClientFailureTests {
    private let client = Client()

    // MARK: Time

    @Test func `a request without an answer times out`() async throws {
        try await withScriptedServer(reply: { _ in .silence() }) { server in
            await #expect(throws: HTTPError.timedOut(after: .milliseconds(150))) {
                try await client.send(Request(url: server.url(), timeout: .milliseconds(150)))
            }
            await server.wait(for: .hungUp)
        }
    }

    @Test func `an answer that doesn't end times out`() async throws {
        try await withScriptedServer(reply: { _ in
            .silence(after: Array("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab".utf8))
        }) { server in
            await #expect(throws: HTTPError.timedOut(after: .milliseconds(150))) {
                try await client.send(Request(url: server.url(), timeout: .milliseconds(150)))
            }
        }
    }

    @Test func `waiting for a free connection counts`() async throws {
        let client = Client(configuration: .init(maxConnectionsPerHost: 1))
        try await withScriptedServer(reply: { _ in .silence() }) { server in
            await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { _ = try await client.send(Request(url: server.url("/first"))) }
                await server.wait(for: .requested(path: "/first"))
                await #expect(throws: HTTPError.timedOut(after: .milliseconds(150))) {
                    try await client.send(Request(url: server.url("/second"), timeout: .milliseconds(150)))
                }
                #expect(server.connectionCount == 1)
                group.cancelAll()
            }
        }
    }

    @Test func `a connection that isn't made in time is given up`() async throws {
        // A queue of one that is full: the kernel ignores who comes next.
        let (listener, port) = try listenOnLoopback(backlog: 0)
        defer { close(listener) }
        var waiting: [Int32] = []
        defer { for socket in waiting { close(socket) } }
        for _ in 0..<2 { waiting.append(connect(to: port)) }
        await #expect(throws: HTTPError.timedOut(after: .milliseconds(200))) {
            try await client.send(Request(url: "http://127.0.0.1:\(port)/", connectTimeout: .milliseconds(200)))
        }
    }

    @Test func `a transfer that stands still is given up`() async throws {
        let client = Client(configuration: .init(stallTimeout: .seconds(1)))
        try await withScriptedServer(reply: { _ in .silence() }) { server in
            await #expect(throws: HTTPError.timedOut(after: .seconds(1))) {
                try await client.send(Request(url: server.url()))
            }
        }
    }

    @Test func `without a limit for standing still the request's own is the only one`() async throws {
        let client = Client(configuration: .init(stallTimeout: nil))
        try await withScriptedServer(reply: { _ in .silence() }) { server in
            await #expect(throws: HTTPError.timedOut(after: .milliseconds(1500))) {
                try await client.send(Request(url: server.url(), timeout: .milliseconds(1500)))
            }
        }
    }

    private func connect(to port: UInt16) -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
        withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return descriptor
    }

    // MARK: Size

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    ])
    func `a body may be as long as the limit, and no longer`(head: String) async throws {
        let body = [UInt8](repeating: 7, count: 1000)
        try await withScriptedServer(reply: { _ in .broken(Array(head.utf8) + body) }) { server in
            let response = try await client.send(Request(url: server.url(), maxResponseBytes: 1000))
            #expect(response.body == body)
            await #expect(throws: HTTPError.responseTooLarge(limit: 999)) {
                try await client.send(Request(url: server.url(), maxResponseBytes: 999))
            }
        }
    }

    @Test func `a body without end is broken off at the limit`() async throws {
        let head = Array("HTTP/1.1 200 OK\r\n\r\n".utf8)
        try await withScriptedServer(reply: { _ in .endless(head, [UInt8](repeating: 1, count: 4096)) }) { server in
            await #expect(throws: HTTPError.responseTooLarge(limit: 100_000)) {
                try await client.send(Request(url: server.url(), maxResponseBytes: 100_000))
            }
            await server.wait(for: .hungUp)
        }
    }

    @Test func `no body at all can be asked for`() async throws {
        try await withScriptedServer(reply: { .answer($0.path == "/empty" ? "" : "x") }) { server in
            let empty = try await client.send(Request(url: server.url("/empty"), maxResponseBytes: 0))
            #expect(empty.status == 200)
            await #expect(throws: HTTPError.responseTooLarge(limit: 0)) {
                try await client.send(Request(url: server.url("/full"), maxResponseBytes: 0))
            }
        }
    }

    @Test func `gzip is decoded`() async throws {
        let hello: [UInt8] = [
            0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0, 0x86, 0xA6, 0x10, 0x36, 5, 0, 0,
            0,
        ]
        try await withScriptedServer(reply: { request in
            .answer(hello, headers: ["Content-Encoding: gzip", "X-Asked: \(request.header("accept-encoding") ?? "")"])
        }) { server in
            let response = try await client.send(Request(url: server.url()))
            #expect(String(decoding: response.body, as: UTF8.self) == "hello")
            #expect(response.header("x-asked") == "gzip")
        }
    }

    @Test func `the limit counts what gzip unpacks`() async throws {
        let bomb = gzipOfZeros(blocks: 40_000)
        #expect(bomb.count < 70_000)
        try await withScriptedServer(reply: { _ in .answer(bomb, headers: ["Content-Encoding: gzip"]) }) { server in
            await #expect(throws: HTTPError.responseTooLarge(limit: 1_000_000)) {
                try await client.send(Request(url: server.url(), maxResponseBytes: 1_000_000))
            }
        }
    }

    /// A gzip stream, without its end, of 1 + 258 × `blocks` zeros: one literal, then copies of it.
    private func gzipOfZeros(blocks: Int) -> [UInt8] {
        var bytes: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]
        var current: UInt8 = 0
        var used = 0
        func append(_ bits: String) {
            for bit in bits.utf8 {
                if bit == UInt8(ascii: "1") { current |= 1 << used }
                used += 1
                if used == 8 {
                    bytes.append(current)
                    (current, used) = (0, 0)
                }
            }
        }
        append("1" + "10" + "00110000")  // Last block, fixed codes; the byte 0.
        for _ in 0..<blocks { append("11000101" + "00000") }  // 258 bytes, from 1 byte back.
        return bytes
    }

    @Test func `headers have a limit too`() async throws {
        let header = Array("X: \(String(repeating: "x", count: 1000))\r\n".utf8)
        try await withScriptedServer(reply: { _ in .endless(Array("HTTP/1.1 200 OK\r\n".utf8), header) }) { server in
            await #expect(throws: HTTPError.headersTooLarge) { try await client.send(Request(url: server.url())) }
            await server.wait(for: .hungUp)
        }
    }

    // MARK: Connections

    @Test func `a refused connection is told as such`() async throws {
        let (listener, port) = try listenOnLoopback(backlog: 1)
        close(listener)
        let error = await #expect(throws: HTTPError.self) {
            try await client.send(Request(url: "http://127.0.0.1:\(port)/"))
        }
        guard case .connectionFailed(let reason) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason.contains("port \(port)"))
    }

    @Test func `an unknown host is told as such`() async throws {
        let error = await #expect(throws: HTTPError.self) {
            try await client.send(Request(url: "http://no-such-host.invalid/"))
        }
        guard case .connectionFailed = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func `a connection that breaks off midway is no answer`() async throws {
        let half = Array("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".utf8)
        try await withScriptedServer(reply: { _ in .broken(half) }) { server in
            let error = await #expect(throws: HTTPError.self) { try await client.send(Request(url: server.url())) }
            guard case .transport(let code, _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(code == 18)
        }
    }

    // MARK: Ending

    @Test func `a cancelled request returns at once and hangs up`() async throws {
        try await withScriptedServer(reply: { _ in .silence() }) { server in
            let task = Task { try await client.send(Request(url: server.url("/held"))) }
            await server.wait(for: .requested(path: "/held"))
            let cancelled = ContinuousClock.now
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            // The request's own limit is 30 s.
            #expect(ContinuousClock.now - cancelled < .seconds(5))
            await server.wait(for: .hungUp)
        }
    }

    @Test func `a cancelled task sends nothing`() async throws {
        try await withScriptedServer(reply: { _ in .answer("") }) { server in
            let gate = AsyncStream<Void>.makeStream()
            let task = Task {
                for await _ in gate.stream {}
                return try await client.send(Request(url: server.url()))
            }
            task.cancel()
            gate.continuation.finish()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(server.connectionCount == 0)
        }
    }

    @Test func `cancelling at any moment leaves the client working`() async throws {
        try await withScriptedServer(reply: { .answer($0.path) }) { server in
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<300 {
                    let task = Task { try await client.send(Request(url: server.url("/\(number)"))) }
                    group.addTask {
                        if number % 3 == 0 { await Task.yield() }
                        task.cancel()
                        switch await task.result {
                        case .success(let response): #expect(response.body == Array("/\(number)".utf8))
                        case .failure(let error): #expect(error is CancellationError)
                        }
                    }
                }
            }
            let after = try await client.send(Request(url: server.url("/after")))
            #expect(after.body == Array("/after".utf8))
        }
    }

    @Test func `after the shutdown nothing is sent`() async throws {
        try await withScriptedServer(reply: { _ in .answer("") }) { server in
            let client = Client()
            _ = try await client.send(Request(url: server.url()))
            await client.shutdown()
            await server.wait(for: .hungUp)
            await #expect(throws: HTTPError.clientShutDown) { try await client.send(Request(url: server.url())) }
            await client.shutdown()
            #expect(server.connectionCount == 1)
        }
    }

    @Test func `the shutdown ends what is under way`() async throws {
        try await withScriptedServer(reply: { _ in .silence() }) { server in
            let client = Client()
            let task = Task { try await client.send(Request(url: server.url("/held"))) }
            await server.wait(for: .requested(path: "/held"))
            await client.shutdown()
            await #expect(throws: HTTPError.clientShutDown) { try await task.value }
            await server.wait(for: .hungUp)
        }
    }

    @Test func `a released client hangs up`() async throws {
        try await withScriptedServer(reply: { _ in .answer("") }) { server in
            _ = try await Client().send(Request(url: server.url()))
            await server.wait(for: .hungUp)
        }
    }
}
