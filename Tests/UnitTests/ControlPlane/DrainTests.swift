@testable import ControlPlane
import Glibc
@testable import JobWorker
import Logging
import ServiceLifecycle
import Support
import Testing

/// The end of the server, as a service among others.
@Suite(.timeLimit(.minutes(5)))
struct DrainTests {
    private static let poll =
        "POST /api/jobs/worker HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(ControlPlaneUnderTest.token)\r\nContent-Length: 0\r\n\r\n"

    @Test func `it answers until the worker has ended, then closes what is idle and lets the rest finish`() async throws
    {
        let (polls, reportPoll) = AsyncStream<Void>.makeStream()
        let (pollEnd, endPoll) = AsyncStream<Void>.makeStream()
        let worker = FakeWorker { _ in
            reportPoll.yield()
            for await _ in pollEnd { break }
            return PollReport()
        }
        let (workerEnd, endWorker) = AsyncStream<Void>.makeStream()
        let (bound, reportBound) = AsyncStream<[BoundAddress]>.makeStream()
        let (draining, reportDraining) = AsyncStream<Void>.makeStream()
        let group = serviceGroup([
            server(worker, limits: HTTPLimits()) { reportBound.yield($0) },
            WorkerService(worker: worker, end: workerEnd) { reportDraining.yield() },
        ])
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let address = try #require(await bound.first { _ in true }?.first)
            let idle = try await RawConnection(to: address)
            await idle.send("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(await idle.receive(until: "}").hasPrefix("HTTP/1.1 200 "))
            let busy = try await RawConnection(to: address)
            await busy.send(Self.poll)
            for await _ in polls { break }

            await group.triggerGracefulShutdown()
            for await _ in draining { break }
            // The worker is still there, and so is the server.
            await idle.send("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            let answer = await idle.receive(until: "}")
            #expect(answer.hasPrefix("HTTP/1.1 503 "))
            #expect(answer.contains(#""code":"draining""#))
            let late = try await RawConnection(to: address)
            await late.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(await late.receive(until: #""worker_id":"worker-1"}"#).contains(#""status":"degraded""#))

            endWorker.yield()
            #expect(await idle.receiveAll() == "")
            #expect(await late.receiveAll() == "")
            await #expect(throws: SocketFailure.self) { try await RawConnection(to: address) }
            endPoll.yield()
            #expect(await busy.receiveAll().hasPrefix("HTTP/1.1 200 "))
            try await tasks.waitForAll()
        }
    }

    @Test func `a connection taken before the stop gets the answer to its first request after it`() async throws {
        var limits = HTTPLimits()
        limits.firstRequestGrace = .seconds(20)
        let (bound, reportBound) = AsyncStream<[BoundAddress]>.makeStream()
        let group = serviceGroup([server(FakeWorker(), limits: limits) { reportBound.yield($0) }])
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let address = try #require(await bound.first { _ in true }?.first)
            let early = try await RawConnection(to: address)
            let partial = try await RawConnection(to: address)
            await partial.send("GET /healthz HTTP/1.1\r\n")
            // Connections are taken in their order: once this one is answered, the others are there too.
            let used = try await RawConnection(to: address)
            await used.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(await used.receive(until: "}").hasPrefix("HTTP/1.1 200 "))
            await group.triggerGracefulShutdown()
            #expect(await used.receiveAll() == "")
            await early.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            await partial.send("Host: x\r\n\r\n")
            for connection in [early, partial] {
                let answer = await connection.receiveAll()
                #expect(answer.hasPrefix("HTTP/1.1 200 "))
                #expect(answer.lowercased().contains("connection: close"))
            }
            try await tasks.waitForAll()
        }
    }

    @Test func `a connection that never asks holds the stop up for a moment only`() async throws {
        var limits = HTTPLimits()
        limits.firstRequestGrace = .milliseconds(50)
        limits.stopTimeout = .seconds(60)
        let (bound, reportBound) = AsyncStream<[BoundAddress]>.makeStream()
        let group = serviceGroup([server(FakeWorker(), limits: limits) { reportBound.yield($0) }])
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let address = try #require(await bound.first { _ in true }?.first)
            let silent = try await RawConnection(to: address)
            let used = try await RawConnection(to: address)
            await used.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(await used.receive(until: "}").hasPrefix("HTTP/1.1 200 "))
            await group.triggerGracefulShutdown()
            #expect(await silent.receiveAll() == "")
            try await tasks.waitForAll()
        }
    }

    @Test func `a request that doesn't end is cut off after the time for stopping`() async throws {
        let (polls, reportPoll) = AsyncStream<Void>.makeStream()
        let (pollEnd, endPoll) = AsyncStream<Void>.makeStream()
        let worker = FakeWorker { _ in
            reportPoll.yield()
            for await _ in pollEnd { break }
            return PollReport()
        }
        var limits = HTTPLimits()
        limits.stopTimeout = .milliseconds(100)
        let (bound, reportBound) = AsyncStream<[BoundAddress]>.makeStream()
        let group = serviceGroup([server(worker, limits: limits) { reportBound.yield($0) }])
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let address = try #require(await bound.first { _ in true }?.first)
            let busy = try await RawConnection(to: address)
            await busy.send(Self.poll)
            for await _ in polls { break }
            await group.triggerGracefulShutdown()
            #expect(await busy.receiveAll() == "")
            endPoll.yield()
            try await tasks.waitForAll()
        }
    }

    @Test func `who ends its input with the request, before anybody serves, is answered`() async throws {
        let (asked, reportAsked) = AsyncStream<[RawConnection]>.makeStream()
        let group = serviceGroup([
            server(FakeWorker(), limits: HTTPLimits()) { bound in
                // They are accepted by now, and served when this has returned.
                var connections: [RawConnection] = []
                for _ in 0..<10 {
                    guard let connection = try? await RawConnection(to: bound[0]) else { continue }
                    await connection.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                    connection.endInput()
                    connections.append(connection)
                }
                reportAsked.yield(connections)
            }
        ])
        async let end: Void = group.run()
        let connections = try #require(await asked.first { _ in true })
        #expect(connections.count == 10)
        for connection in connections {
            let answer = await connection.receiveAll()
            #expect(answer.hasPrefix("HTTP/1.1 200 ") && !answer.hasSuffix(RawConnection.silence))
        }
        await group.triggerGracefulShutdown()
        try await end
    }

    /// As with a socket of systemd, which the next process takes over with all that wait in its queue.
    @Test func `whoever connects as one server stops is answered by that one or by the next`() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/worker.sock"
            let systemds = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(systemds) }
            #expect(withUnixAddress(path) { bind(systemds, $0, $1) } == 0)
            #expect(listen(systemds, 64) == 0)
            let isEnough = Gate()
            let (answers, report) = AsyncStream<String>.makeStream()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for _ in 0..<4 {
                    tasks.addTask {
                        while !isEnough.isOpen {
                            let connection = try await RawConnection(to: .unixSocket(path: path))
                            await connection.send("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                            report.yield(await connection.receiveAll())
                        }
                    }
                }
                var answered = answers.makeAsyncIterator()
                for _ in 0..<100 {
                    let (bound, reportBound) = AsyncStream<[BoundAddress]>.makeStream()
                    let group = serviceGroup([
                        server(FakeWorker(), at: .descriptor(dup(systemds)), limits: HTTPLimits()) {
                            reportBound.yield($0)
                        }
                    ])
                    async let end: Void = group.run()
                    _ = await bound.first { _ in true }
                    for _ in 0..<10 {
                        let answer = await answered.next() ?? ""
                        #expect(answer.hasPrefix("HTTP/1.1 200 "), "\(answer)")
                    }
                    await group.triggerGracefulShutdown()
                    try await end
                }
                isEnough.open()
                // Who still waits in the queue.
                let last = serviceGroup([
                    server(FakeWorker(), at: .descriptor(dup(systemds)), limits: HTTPLimits()) { _ in }
                ])
                async let end: Void = last.run()
                try await tasks.waitForAll()
                await last.triggerGracefulShutdown()
                try await end
            }
            report.finish()
            for await answer in answers { #expect(answer.hasPrefix("HTTP/1.1 200 "), "\(answer)") }
        }
    }

    private func server(
        _ worker: FakeWorker, at address: ListenAddress = .tcp(host: "127.0.0.1", port: 0), limits: HTTPLimits,
        onListening: @escaping @Sendable ([BoundAddress]) async -> Void
    ) -> ControlPlaneServer {
        let service = ServiceIdentity(region: "", environment: "", version: "")
        return ControlPlaneServer(
            listeningOn: [address],
            routes: RouteTable(
                HealthRoutes(worker: worker, service: service).routes + WorkerRoutes(worker: worker).routes),
            authentication: Authentication(
                operators: ControlPlaneUnderTest.operators([(nil, ControlPlaneUnderTest.token)])),
            limits: limits, logger: silent, onListening: onListening)
    }

    private func serviceGroup(_ services: [any Service]) -> ServiceGroup {
        ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.map {
                    ServiceGroupConfiguration.ServiceConfiguration(
                        service: $0, successTerminationBehavior: .gracefullyShutdownGroup)
                }, logger: silent))
    }

    private var silent: Logger { Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }) }
}

/// Drains from the shutdown on until the test ends it.
private struct WorkerService: Service {
    let worker: FakeWorker
    let end: AsyncStream<Void>
    let onDraining: @Sendable () -> Void

    func run() async throws {
        try await gracefulShutdown()
        worker.state.update { $0.phase = .draining }
        onDraining()
        for await _ in end { break }
    }
}
