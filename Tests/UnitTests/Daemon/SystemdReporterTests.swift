import Logging
import Synchronization
import Systemd
import Testing

@testable import Daemon
@testable import JobWorker

@Suite(.timeLimit(.minutes(5))) struct SystemdReporterTests {
    @Test func `a loop that hangs is named in the status before the pings end, and they go on once it turns`()
        async throws
    {
        let worker = FakeWorker()
        let said = Record()
        let complaints = Record()
        let reporter = SystemdReporter(
            notifier: Notifier(sending: said.add),
            watchdog: Watchdog(environment: ["WATCHDOG_USEC": "20000"], processID: 1), worker: worker,
            isServing: { true }, logger: Logger(label: "test") { _ in RecordingHandler(record: complaints) })
        let task = Task { try await reporter.run() }
        await said.wait { $0.contains("WATCHDOG=1") }
        #expect(said.all.contains("READY=1"))

        worker.state.willTurn(.poller, within: .zero)
        // Two occasions for a ping that weren't taken.
        await complaints.wait { $0.count >= 2 }
        let messages = said.all
        let stuck = try #require(messages.firstIndex { $0.hasPrefix("STATUS=Stuck: poller") })
        #expect(!messages[stuck...].contains("WATCHDOG=1"))
        // Only the status is said between the last ping and the silence.
        #expect(complaints.all.allSatisfy { $0.contains("a loop hangs") })

        worker.state.willTurn(.poller, within: .seconds(600))
        await said.wait { $0.last == "WATCHDOG=1" }
        #expect(said.all.last { $0.hasPrefix("STATUS=") }?.hasPrefix("STATUS=Working") == true)
        task.cancel()
        try? await task.value
    }

    @Test func `a stop right after the start moves systemd's limit again`() async {
        let worker = FakeWorker()
        worker.state.update { $0.phase = .connecting }
        let said = Record()
        let reporter = SystemdReporter(
            notifier: Notifier(sending: said.add), watchdog: Watchdog(environment: [:], processID: 1), worker: worker,
            isServing: { true }, logger: Logger(label: "test") { _ in RecordingHandler(record: Record()) })
        let task = Task { try await reporter.run() }
        let extended = "EXTEND_TIMEOUT_USEC=30000000"
        await said.wait { $0.contains(extended) }
        worker.state.update { $0.phase = .draining }
        await said.wait { $0.contains("STOPPING=1") && $0.last == extended }
        #expect(said.all.filter { $0 == extended }.count == 2)
        task.cancel()
        try? await task.value
    }

    @Test(arguments: WorkerState.Loop.allCases)
    func `each loop counts`(loop: WorkerState.Loop) {
        let state = WorkerState()
        state.willTurn(loop, within: .seconds(10))
        #expect(state.stuckLoops(now: .now + .seconds(9)) == [])
        #expect(state.stuckLoops(now: .now + .seconds(11)) == [loop])
        state.rests(loop)
        #expect(state.stuckLoops(now: .now + .seconds(11)) == [])
    }
}

/// Texts in their order, from any task.
private final class Record: Sendable {
    private let texts = Mutex<[String]>([])

    var all: [String] { texts.withLock { $0 } }

    @Sendable func add(_ text: String) -> Bool {
        texts.withLock { $0.append(text) }
        return true
    }

    /// Ends with the test's time limit.
    func wait(until condition: ([String]) -> Bool) async {
        while !condition(all), !Task.isCancelled { try? await Task.sleep(for: .milliseconds(5)) }
    }
}

private struct RecordingHandler: LogHandler {
    let record: Record
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace

    init(record: Record) { self.record = record }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { _ = record.add(event.message.description) }
}
