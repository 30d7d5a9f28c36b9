import ControlPlane
import HTTPClient
import HTTPTypes
import HummingbirdCore
import JobWorker
import NIOCore
import Testing

/// Clients that are slow, silent or send too much: each harms itself alone.
@Suite(.timeLimit(.minutes(5)))
struct SlowClientTests {
    private let echo = Route(.post, "/echo", access: .anyone, "") { request in
        try .json(["bytes": request.body.readableBytes])
    }

    @Test func `a silent connection is closed after the idle time`() async throws {
        var limits = HTTPLimits()
        limits.idleTimeout = .milliseconds(100)
        try await withControlPlane(limits: limits) { plane in
            let silent = try await RawConnection(to: plane.address)
            #expect(await silent.receiveAll() == "")
            let kept = try await RawConnection(to: plane.address)
            await kept.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            // Answered or, on a busy machine, come too late; closed in any case.
            #expect(await !kept.receiveAll().hasSuffix(RawConnection.silence))
        }
    }

    @Test func `headers that don't come to their end end the connection`() async throws {
        var limits = HTTPLimits()
        limits.headTimeout = .milliseconds(100)
        try await withControlPlane(limits: limits) { plane in
            let connection = try await RawConnection(to: plane.address)
            await connection.send("GET /healthz HTTP/1.1\r\nHost: x\r\nX-")
            #expect(await connection.receiveAll() == "")
        }
    }

    @Test func `a body that doesn't come to its end is answered 408, and nothing done`() async throws {
        var limits = HTTPLimits()
        limits.bodyTimeout = .milliseconds(100)
        let worker = FakeWorker()
        try await withControlPlane(worker: worker, limits: limits) { plane in
            let connection = try await RawConnection(to: plane.address)
            await connection.send(
                "POST /api/jobs/worker HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(ControlPlaneUnderTest.token)\r\nContent-Length: 10\r\n\r\n123"
            )
            let answer = await connection.receiveAll()
            #expect(answer.hasPrefix("HTTP/1.1 408 "))
            #expect(answer.contains("Connection: close\r\n"))
            #expect(answer.contains(#""code":"request_timeout""#))
        }
        #expect(worker.pollLimits == [])
    }

    @Test func `a client that hangs up within a body has nothing done for it`() async throws {
        let worker = FakeWorker()
        try await withControlPlane(worker: worker) { plane in
            let connection = try await RawConnection(to: plane.address)
            await connection.send(
                "POST /api/jobs/worker HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(ControlPlaneUnderTest.token)\r\nContent-Length: 10\r\n\r\n123"
            )
            connection.endInput()
            _ = await connection.receiveAll()
        }
        #expect(worker.pollLimits == [])
    }

    @Test(arguments: [true, false]) func `a body may be as long as the limit and no longer`(isChunked: Bool)
        async throws
    {
        var limits = HTTPLimits()
        limits.bodyBytesMax = 1000
        try await withControlPlane(limits: limits, moreRoutes: [echo]) { plane in
            for (count, status) in [(1000, 200), (1001, 413), (100_000, 413)] {
                let connection = try await RawConnection(to: plane.address)
                let body = String(repeating: "a", count: count)
                let framed =
                    isChunked
                    ? "Transfer-Encoding: chunked\r\n\r\n\(String(count, radix: 16))\r\n\(body)\r\n0\r\n\r\n"
                    : "Content-Length: \(count)\r\n\r\n\(body)"
                await connection.send("POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\(framed)")
                let answer = await connection.receiveAll()
                #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
                #expect(answer.contains(status == 200 ? #"{"bytes":1000}"# : #""code":"payload_too_large""#))
            }
        }
    }

    @Test func `a body that was announced too long is refused before it is sent`() async throws {
        try await withControlPlane(moreRoutes: [echo]) { plane in
            let connection = try await RawConnection(to: plane.address)
            await connection.send(
                "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n")
            let answer = await connection.receiveAll()
            #expect(answer.hasPrefix("HTTP/1.1 413 "))
            #expect(answer.contains("Connection: close\r\n"))
        }
    }

    @Test func `a client that asks first is told to go on`() async throws {
        try await withControlPlane(moreRoutes: [echo]) { plane in
            let connection = try await RawConnection(to: plane.address)
            await connection.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            #expect(await connection.receive(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            await connection.send("abc")
            #expect(await connection.receive(until: #"{"bytes":3}"#).hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
    }

    @Test func `a client that doesn't read its answer loses the connection, and delays nobody`() async throws {
        var limits = HTTPLimits()
        limits.unreadTimeout = .milliseconds(200)
        let (ends, reportEnd) = AsyncStream<Void>.makeStream()
        let endless = Route(.get, "/endless", access: .anyone, "") { _ in
            Response(
                status: .ok,
                body: ResponseBody { writer in
                    defer { reportEnd.yield() }
                    while true { try await writer.write(ByteBuffer(repeating: 0x61, count: 64 * 1024)) }
                })
        }
        try await withControlPlane(limits: limits, moreRoutes: [endless]) { plane in
            let connection = try await RawConnection(to: plane.address)
            await connection.send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            let other = try await RawConnection(to: plane.address)
            await other.send("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            #expect(await other.receiveAll().hasSuffix(#"{"status":"ok"}"#))
            for await _ in ends { break }
            withExtendedLifetime(connection) {}
        }
    }

    @Test(arguments: [false, true])
    func `stalled connections keep no one from asking for health`(isShortOfDescriptors: Bool) async throws {
        var limits = HTTPLimits()
        if isShortOfDescriptors {
            limits.maxConnections = 1000
            limits.descriptorLimit = 0
            limits.connectionsAlways = 20
        } else {
            limits.maxConnections = 20
        }
        // None of the stalled ones goes by itself within the time of this test.
        limits.headTimeout = .seconds(600)
        limits.idleTimeout = .seconds(600)
        try await withControlPlane(limits: limits) { plane in
            var stalled: [RawConnection] = []
            for number in 0..<300 {
                let connection = try await RawConnection(to: plane.address)
                await connection.send(number.isMultiple(of: 2) ? "GET /healthz HTT" : "")
                stalled.append(connection)
                guard number % 30 == 29 else { continue }
                // Those that came before it and that a slower event loop takes in after it may displace it.
                var isAnswered = false
                for _ in 0..<10 where !isAnswered {
                    let asker = try await RawConnection(to: plane.address)
                    await asker.send("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    isAnswered = await asker.receiveAll().hasSuffix(#"{"status":"ok"}"#)
                }
                #expect(isAnswered)
            }
            // The first had to go for the others.
            #expect(await stalled[0].receiveAll() == "")
        }
    }

    @Test func `a thousand stalled connections on each socket keep no one from asking for health`() async throws {
        var limits = HTTPLimits()
        limits.headTimeout = .seconds(600)
        limits.idleTimeout = .seconds(600)
        try await withTemporaryDirectory { folder in
            let addresses: [ListenAddress] = [
                .unixSocket(path: folder + "/a.sock", group: nil), .tcp(host: "127.0.0.1", port: 0),
            ]
            try await withControlPlane(listeningOn: addresses, limits: limits) { plane in
                var stalled: [RawConnection] = []
                for number in 0..<1000 {
                    for address in plane.addresses {
                        let connection = try await RawConnection(to: address)
                        await connection.send(
                            [
                                "", "G", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ",
                                "POST / HTTP/1.1\r\nHost: x\r\n",
                            ][
                                number % 4])
                        stalled.append(connection)
                    }
                    guard number % 100 == 99 else { continue }
                    for address in plane.addresses {
                        #expect(try await plane.send("GET", "/healthz", to: address).status == 200)
                    }
                }
                #expect(stalled.count == 2000)
            }
        }
    }

    @Test func `a client that is being served is not displaced by others`() async throws {
        var limits = HTTPLimits()
        limits.maxConnections = 1
        let (began, reportBegin) = AsyncStream<Void>.makeStream()
        let (released, release) = AsyncStream<Void>.makeStream()
        let worker = FakeWorker { _ in
            reportBegin.yield()
            for await _ in released { break }
            return PollReport()
        }
        try await withControlPlane(worker: worker, limits: limits) { plane in
            let served = try await RawConnection(to: plane.address)
            await served.send(
                "POST /api/jobs/worker HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(ControlPlaneUnderTest.token)\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            for await _ in began { break }
            let other = try await RawConnection(to: plane.address)
            #expect(await other.receiveAll() == "")
            release.yield()
            #expect(await served.receiveAll().hasPrefix("HTTP/1.1 200 "))
        }
    }
}
