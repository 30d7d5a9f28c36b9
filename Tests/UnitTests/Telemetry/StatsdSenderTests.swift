import CoreMetrics
import FoundationEssentials
import Glibc
import Support
import Synchronization
import Telemetry
import Testing

/// Against a receiver at a real socket, which reads the format by itself.
@Suite(.timeLimit(.minutes(2)))
struct StatsdSenderTests {
    private let path = "/tmp/jobworker-statsd-\(getpid())-\(UInt32.random(in: .min ... .max))"

    private func registry(_ sender: StatsdSender) -> MetricRegistry {
        MetricRegistry(
            [
                .init(name: "jobworker_jobs_total", kind: .counter, help: ""),
                .init(name: "jobworker_job_wait_seconds", kind: .histogram, help: "", buckets: [1]),
                .init(name: "jobworker_queue_depth", kind: .gauge, help: ""),
            ], observing: { sender.observer($0, $1) })
    }

    private func checkEveryKind(_ receiver: StatsdReceiver, _ destination: StatsdDestination) async throws {
        let sender = try #require(
            StatsdSender.start(to: destination, tags: [("env", "test")], interval: .milliseconds(20)))
        let registry = registry(sender)
        registry.makeCounter(label: "jobworker_jobs_total", dimensions: [("queue", "a|b")]).increment(by: 2)
        registry.makeTimer(label: "jobworker_job_wait_seconds", dimensions: []).recordNanoseconds(1_500_000_000)
        registry.replaceGauge("jobworker_queue_depth", [([("queue", "q")], 7)])
        registry.replaceGauge("jobworker_queue_depth", [])
        let metrics = try await receiver.metrics { $0.count == 4 }
        #expect(
            metrics.map(\.name) == ["jobs", "job_wait_seconds", "queue_depth", "queue_depth"].map { "jobworker.\($0)" })
        #expect(metrics.map(\.type) == ["c", "h", "g", "g"])
        // A gauge that is gone is 0 to a server that remembers.
        #expect(metrics.map(\.value) == [2, 1.5, 7, 0])
        #expect(metrics[0].tags == ["queue": "a_b", "env": "test"])
        await sender.stop()
    }

    @Test func `counters, gauges and times arrive over UDP`() async throws {
        let receiver = try StatsdReceiver(.udp())
        try await checkEveryKind(receiver, .udp(host: "localhost", port: Int(receiver.port)))
    }

    @Test func `counters, gauges and times arrive at a Unix socket`() async throws {
        defer { unlink(path) }
        try await checkEveryKind(try StatsdReceiver(.socket(path: path)), .socket(path: path))
    }

    @Test func `thousands of changes are packed into datagrams that pass everywhere, and none is lost`() async throws {
        defer { unlink(path) }
        for isUDP in [true, false] {
            let receiver = try StatsdReceiver(isUDP ? .udp() : .socket(path: path))
            let destination: StatsdDestination =
                isUDP ? .udp(host: "127.0.0.1", port: Int(receiver.port)) : .socket(path: path)
            let sender = try #require(StatsdSender.start(to: destination, interval: .milliseconds(20)))
            let counter = registry(sender).makeCounter(
                label: "jobworker_jobs_total", dimensions: [("queue", "default")])
            var sum = 0.0
            var longest = 0
            for round in 1...30 {
                for _ in 0..<100 { counter.increment(by: 1) }
                // Taken at once, so that the socket's own buffer loses nothing.
                while sum < 100 * Double(round) {
                    let datagram = try #require(await receiver.datagram())
                    longest = max(longest, datagram.utf8.count)
                    let lines = datagram.split(separator: "\n")
                    sum += try lines.map { try #require(StatsdReceiver.Metric(String($0))).value }.reduce(0, +)
                }
            }
            #expect(sum == 3000)
            #expect(longest <= (isUDP ? 1432 : 8192))
            #expect(longest > (isUDP ? 1000 : 3000))
            await sender.stop()
        }
    }

    @Test func `what came just before the end is sent`() async throws {
        let receiver = try StatsdReceiver(.udp())
        let sender = try #require(
            StatsdSender.start(to: .udp(host: "127.0.0.1", port: Int(receiver.port)), interval: .seconds(3600)))
        sender.observer("x_total", [])(.counted(1))
        await sender.stop()
        #expect(await receiver.datagram() == "jobworker.x:1|c")
    }

    @Test func `without a server nobody waits, and what is lost is told once and counted`() async throws {
        let dropped = Mutex(0)
        let (told, tell) = AsyncStream<StatsdSender.Event>.makeStream()
        let sender = try #require(
            StatsdSender.start(to: .socket(path: path), interval: .milliseconds(10)) { event in
                if case .dropped(let count) = event { dropped.withLock { $0 += count } } else { tell.yield(event) }
            })
        let observer = sender.observer("x_total", [("tag", String(repeating: "a", count: 150))])
        observer(.counted(1))
        var events = told.makeAsyncIterator()
        #expect(await events.next() == .lost(reason: "No such file or directory"))
        // More than is kept: 130 bytes each, fifty in a datagram, 128 datagrams.
        for _ in 0..<20_000 { observer(.counted(1)) }
        await sender.stop()
        tell.finish()
        #expect(await events.next() == nil)
        #expect(dropped.withLock { $0 } > 200)
    }

    @Test func `a server that comes, and comes again, gets figures without a restart of the worker`() async throws {
        defer { unlink(path) }
        let (told, tell) = AsyncStream<StatsdSender.Event>.makeStream()
        let isFound = Atomic(false)
        let sender = try #require(
            StatsdSender.start(
                to: .socket(path: path), interval: .milliseconds(10), pause: .milliseconds(20)
            ) { event in
                if event == .found { isFound.store(true, ordering: .releasing) }
                tell.yield(event)
            })
        let observer = sender.observer("x_total", [])
        observer(.counted(1))
        var events = told.makeAsyncIterator()
        #expect(await events.next() == .lost(reason: "No such file or directory"))
        for _ in 0..<2 {
            isFound.store(false, ordering: .releasing)
            let server = try StatsdReceiver(.socket(path: path))
            while !isFound.load(ordering: .acquiring) {
                observer(.counted(1))
                _ = try #require(await server.datagram())
            }
            // Its end is noticed by the next datagram; or a later one, while a process that somebody else starts at this
            // moment holds a copy of every descriptor.
            server.close()
            let counting = Task {
                while !Task.isCancelled {
                    observer(.counted(1))
                    try? await Task.sleep(for: .milliseconds(1))
                }
            }
            while let event = await events.next() {
                if case .lost = event { break }
            }
            counting.cancel()
        }
        await sender.stop()
    }

    @Test func `over UDP a port where nobody listens is noticed`() async throws {
        let (told, tell) = AsyncStream<StatsdSender.Event>.makeStream()
        let gone = try StatsdReceiver(.udp())
        gone.close()
        let sender = try #require(
            StatsdSender.start(
                to: .udp(host: "127.0.0.1", port: Int(gone.port)), interval: .milliseconds(5), pause: .milliseconds(5)
            ) { tell.yield($0) })
        let observer = sender.observer("x_total", [])
        let counting = Task {
            while !Task.isCancelled {
                observer(.counted(1))
                try? await Task.sleep(for: .milliseconds(1))
            }
        }
        var events = told.makeAsyncIterator()
        #expect(await events.next() == .dropped(1))
        #expect(await events.next() == .lost(reason: "Connection refused"))
        counting.cancel()
        await sender.stop()
    }
}
