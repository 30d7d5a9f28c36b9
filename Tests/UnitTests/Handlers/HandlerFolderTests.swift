import FoundationEssentials
import JobWorker
import Testing

@testable import Handlers

@Suite struct HandlerFolderTests {
    @Test func `a folder that can't be read leaves all handlers in force, one that isn't there holds none`()
        async throws
    {
        let path = "/tmp/jobworker-folder-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try "job_type: kept\nexec: [sh]\n".write(toFile: "\(path)/a.yaml", atomically: true, encoding: .utf8)
        let service = HandlerService(tokens: nil, version: "1", credentials: nil)
        #expect(await service.load(path, taken: []).changed == ["kept"])

        // A file in its place: what a folder without rights is to whoever isn't root.
        try FileManager.default.removeItem(atPath: path)
        try "".write(toFile: path, atomically: true, encoding: .utf8)
        let refused = await service.load(path, taken: [])
        #expect(refused.changed.isEmpty && refused.types == ["kept"])
        #expect(
            refused.problems.map(\.description) == [
                "\(path): the folder can't be read: Not a directory"
            ])
        #expect(service.processors.flatMap(\.jobTypes) == ["kept"])
        #expect(HandlerFolder(path: path).problems == refused.problems)

        try FileManager.default.removeItem(atPath: path)
        let gone = await service.load(path, taken: [])
        #expect(gone.problems.isEmpty && gone.changed == ["kept"] && gone.types.isEmpty)
    }
}
