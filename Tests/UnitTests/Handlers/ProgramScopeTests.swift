import FoundationEssentials
import Testing

@testable import Handlers

@Suite struct ProgramScopeTests {
    @Test func `control groups are made only below one that was given to this service`() throws {
        let root = "/tmp/jobworker-scope-\(UUID().uuidString)"
        let group = root + "/system.slice/a.service"
        defer { try? FileManager.default.removeItem(atPath: root) }
        try FileManager.default.createDirectory(atPath: group, withIntermediateDirectories: true)
        for file in ["cgroup.procs", "cgroup.kill"] {
            try "".write(toFile: "\(group)/\(file)", atomically: true, encoding: .utf8)
        }
        func found(_ membership: String, isMarked: Bool = true) -> String? {
            ProgramScope.delegated(membership: Array(membership.utf8), root: root) { $0 == group && isMarked }
        }
        let own = "0::/system.slice/a.service\n"
        #expect(found(own) == group)
        #expect(found(own, isMarked: false) == nil)
        #expect(found("12:memory:/system.slice/a.service\n") == nil)
        #expect(found("0::/system.slice/b.service\n") == nil)
        #expect(found("") == nil)
        try FileManager.default.removeItem(atPath: group + "/cgroup.kill")
        #expect(found(own) == nil)
    }
}
