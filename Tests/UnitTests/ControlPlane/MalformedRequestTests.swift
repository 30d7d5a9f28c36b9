import ControlPlane
import HTTPTypes
import NIOCore
import Testing

/// Bytes that two readers could understand differently, or that are no request at all.
@Suite(.timeLimit(.minutes(5)))
struct MalformedRequestTests {
    private static let post = "POST /echo HTTP/1.1\r\nHost: x\r\n"

    /// Tells what reached a handler.
    private let echo = Route(.post, "/echo", access: .anyone, "") { request in
        try .json(["body": String(buffer: request.body)])
    }

    @Test(arguments: [
        // Both lengths, either order and case.
        post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + "transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        // Lengths that differ, or are none.
        post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        post + "Content-Length: 5, 6\r\n\r\nhello!", post + "Content-Length: +5\r\n\r\nhello",
        post + "Content-Length: -1\r\n\r\n", post + "Content-Length: 0x5\r\n\r\nhello",
        post + "Content-Length: 5 5\r\n\r\nhello", post + "Content-Length: 99999999999999999999\r\n\r\n",
        // Encodings nobody offers.
        post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        // Chunks.
        post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx",
        post + "Transfer-Encoding: chunked\r\n\r\n-1\r\nx",
        post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        // Line ends and header lines.
        "GET /healthz HTTP/1.1\nHost: x\n\n", "GET /healthz HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\u{0}b\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\nX\u{1}: y\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
        // Which host?
        "GET /healthz HTTP/1.1\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        // Request lines.
        "GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
        "get /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /health\u{0}z HTTP/1.1\r\nHost: x\r\n\r\n", "BREW /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET healthz HTTP/1.1\r\nHost: x\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}", "hello\r\n\r\n",
        // Too much of it.
        "GET /healthz HTTP/1.1\r\nHost: x\r\nX: \(String(repeating: "a", count: 40_000))\r\n\r\n",
        "GET /\(String(repeating: "a", count: 40_000)) HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\n" + String(repeating: "X: y\r\n", count: 200) + "\r\n",
    ])
    func `what can't be understood for sure is refused and ends the connection`(bytes: String) async throws {
        try await withControlPlane(moreRoutes: [echo]) { plane in
            let connection = try await RawConnection(to: plane.address)
            await connection.send(bytes)
            let answer = await connection.receiveAll()
            #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            #expect(answer.contains("Connection: close\r\n"))
            #expect(answer.components("HTTP/1.1 ").count == 2)
            #expect(answer.contains(#"{"code":"malformed_request","error":""#))
        }
    }

    @Test func `a request hidden in a refused one is not served`() async throws {
        let worker = FakeWorker()
        try await withControlPlane(worker: worker) { plane in
            let hidden =
                "POST /api/jobs/worker HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(ControlPlaneUnderTest.token)\r\nContent-Length: 0\r\n\r\n"
            for framing in [
                "Content-Length: \(hidden.utf8.count)\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "Content-Length: 0\r\nContent-Length: 1\r\n\r\n",
            ] {
                let connection = try await RawConnection(to: plane.address)
                await connection.send("POST /healthz HTTP/1.1\r\nHost: x\r\n" + framing + hidden)
                #expect(await connection.receiveAll().components("HTTP/1.1 ").count == 2)
            }
        }
        #expect(worker.pollLimits == [])
    }

    @Test func `what follows a good request is not answered when it is none`() async throws {
        try await withControlPlane { plane in
            let connection = try await RawConnection(to: plane.address)
            await connection.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGARBAGE\r\n\r\n")
            let answer = await connection.receiveAll()
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(!answer.contains("GARBAGE"))
        }
    }

    @Test func `pipelined requests are answered in order`() async throws {
        try await withControlPlane(moreRoutes: [echo]) { plane in
            let connection = try await RawConnection(to: plane.address)
            let requests = (1...40).map { number in
                "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: \("\(number)".count)\r\n\r\n\(number)"
            }
            await connection.send(requests.joined())
            let answers = await connection.receive(until: #"{"body":"40"}"#)
            #expect(
                answers.components(#"{"body":""#).dropFirst().map { Int($0.prefix { $0 != "\"" }) } == Array(1...40))
        }
    }

    @Test(arguments: [
        ("HTTP/1.1", "Connection: close", true), ("HTTP/1.1", "Connection: Close", true),
        ("HTTP/1.1", "Connection: keep-alive, close", true), ("HTTP/1.0", "X: y", true), ("HTTP/1.1", "X: y", false),
    ])
    func `a connection is kept only if the client wants that`(version: String, header: String, isClosed: Bool)
        async throws
    {
        try await withControlPlane { plane in
            let connection = try await RawConnection(to: plane.address)
            await connection.send("GET /healthz \(version)\r\nHost: x\r\n\(header)\r\n\r\n")
            let answer =
                isClosed ? await connection.receiveAll() : await connection.receive(until: #"{"status":"ok"}"#)
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(answer.contains("Connection: close\r\n") == isClosed)
            if !isClosed {
                await connection.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(await connection.receive(until: #"{"status":"ok"}"#).hasPrefix("HTTP/1.1 200 OK\r\n"))
            }
        }
    }
}
