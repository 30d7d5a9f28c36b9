import FoundationEssentials
import JobWorker
import Logging
import Testing

@testable import Daemon
@testable import Handlers

@Suite struct ServedHandlersTests {
    /// Nothing else in this process makes the thread adopt strays.
    @Test func `where the program's own job types may start processes, orphans are not taken for strays`() async throws
    {
        let folder = "/tmp/jobworker-served-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try "job_type: made\nexec: [\"true\"]\n".write(toFile: "\(folder)/a.yaml", atomically: true, encoding: .utf8)
        let types = ServedHandlers(
            own: ProcessorRegistry(),
            handlers: HandlerService(tokens: nil, version: "1", credentials: nil), adoptsStrays: false,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        await types.load(folder)
        #expect(types.registry.jobTypes == ["made"])
        #expect(!ProcessThread.shared.isAdoptingStrays)
    }
}
