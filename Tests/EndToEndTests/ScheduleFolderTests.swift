import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// The folder WORKER_SCHEDULES, as a daemon reads it.
@Suite(.database()) struct ScheduleFolderTests {
    let database = TestDatabase.current

    private func write(_ text: String, to path: String) throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    private func schedule(_ name: String, _ cron: String, workspace: String = TestDatabase.workspace.text) -> String {
        "name: \(name)\nworkspace_id: \(workspace)\njob_type: noop\ncron: \"\(cron)\"\n"
    }

    private func count(_ condition: String) async throws -> Int {
        try await database.count(condition, of: "public.job_schedules")
    }

    @Test func `files are applied at the start and at a reload, and a broken one leaves the old in force`() async throws
    {
        let folder = "/tmp/jobworker-schedules-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try write(schedule("a", "@daily"), to: "\(folder)/a.yaml")
        try write(schedule("b", "0 25 * * *"), to: "\(folder)/b.yml")
        try write(schedule("c", "@daily", workspace: UUID().uuidString), to: "\(folder)/c.yaml")
        try write("not for us", to: "\(folder)/notes.txt")
        let daemon = try await RunningDaemon.start(database, environment: ["WORKER_SCHEDULES": folder])
        #expect(try await count("true") == 1)
        #expect(
            try await count(
                "name = 'a' AND next_run_at = date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + interval '1 day'"
            ) == 1)
        #expect(daemon.log.contains("\(folder)/b.yml:4: cron: the hour field '25' has 25, outside 0 to 23"))
        #expect(daemon.log.contains("\(folder)/c.yaml: 'c': there is no such workspace"))

        try await database.run("UPDATE public.job_schedules SET enabled = false")
        let version: String? = try await database.value("SELECT xmin::text FROM public.job_schedules")
        try write(schedule("a", "@nonsense"), to: "\(folder)/a.yaml")
        try write(schedule("b", "@hourly"), to: "\(folder)/b.yml")
        try await daemon.signal(SIGHUP)
        try await daemon.logs("\(folder)/a.yaml:4: cron: '@nonsense' is not known")
        try await database.waitUntil("name = 'b'", of: "public.job_schedules")
        // What is in force stays, byte for byte, and paused.
        #expect(try await database.value("SELECT xmin::text FROM public.job_schedules WHERE name = 'a'") == version)

        try write(schedule("a", "@monthly"), to: "\(folder)/a.yaml")
        try await daemon.signal(SIGHUP)
        try await database.waitUntil("name = 'a' AND cron = '@monthly' AND NOT enabled", of: "public.job_schedules")
        #expect(
            try await database.count(
                "actor LIKE 'file:%/a.yaml' AND via = 'worker' AND action = 'schedule.change'", of: "public.job_audit")
                == 1)

        // A file in its place: what a folder without rights is to whoever isn't root.
        try FileManager.default.removeItem(atPath: folder)
        try write("", to: folder)
        try await daemon.signal(SIGHUP)
        try await daemon.logs("\(folder): the folder can't be read: Not a directory")
        #expect(try await count("true") == 2)
        await daemon.stop()
    }

    @Test func `several daemons with the same files write each schedule once`() async throws {
        let folder = "/tmp/jobworker-schedules-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for name in ["a", "b", "c"] { try write(schedule(name, "@daily"), to: "\(folder)/\(name).yaml") }
        let daemons = try await withThrowingTaskGroup(of: RunningDaemon.self) { group in
            for _ in 0..<3 {
                group.addTask {
                    try await RunningDaemon.start(database, environment: ["WORKER_SCHEDULES": folder])
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(try await count("true") == 3)
        #expect(try await database.count("action LIKE 'schedule.%'", of: "public.job_audit") == 3)
        for daemon in daemons { await daemon.stop() }
    }
}
