import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// Programs that behave as badly as they can, behind a daemon.
@Suite(.database(), .timeLimit(.minutes(2))) struct NastyProgramTests {
    private let database = TestDatabase.current
    /// The seconds for which what they leave behind sleeps: by them it is found.
    private static let mark = "98\(getpid()).25"

    private static let scripts: [(type: String, script: String)] = [
        ("forks", "for i in 1 2 3; do sleep \(mark) & (sleep \(mark) &); done; echo '{}'"),
        (
            "deaf",
            "trap '' TERM; (trap '' TERM HUP; setsid sleep \(mark) &); sleep \(mark) & while :; do sleep 1; done"
        ),
        ("mute", "exec 1>&- 2>&- 3>&-; sleep 0.2"),
        ("noisy", "head -c 300000000 /dev/zero | tr '\\\\000' x >&2; yes | head -n 100000 >&2; echo 7"),
        ("binary", "printf '\\\\377\\\\376'"),
        ("killed", "kill -KILL $$"),
        // Nothing of its origin is left on it.
        ("daemon", "env -i setsid -f setsid -f sleep \(mark) </dev/null >/dev/null 2>&1 3>&-; echo '{}'"),
        // As that, and it goes on writing to what the worker reads.
        ("chatty", "env -i setsid -f setsid -f yes >&2; sleep 0.2; echo '{}'"),
    ]

    @Test func `each ends as the contract says, and leaves no process behind`() async throws {
        let folder = "/tmp/jobworker-handlers-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for (type, script) in Self.scripts {
            let quoted = script.replacing("\"", with: "\\\"")
            try """
            job_type: \(type)
            timeout: \(type == "deaf" ? 1 : 60)
            exec: [sh, -c, "\(quoted)"]
            """.write(toFile: "\(folder)/\(type).yaml", atomically: true, encoding: .utf8)
        }
        let daemon = try await RunningDaemon.start(
            database, environment: ["WORKER_HANDLERS": folder, "WORKER_MAX_CONCURRENT": "10"])
        for (type, _) in Self.scripts {
            try await database.run(
                """
                INSERT INTO public.jobs (workspace_id, job_type, payload)
                VALUES ('\(TestDatabase.workspace.text)', '\(type)', '{}')
                """)
        }
        try await ends("forks", "status = 'completed' AND result = '{}'")
        try await ends("mute", "status = 'completed' AND result IS NULL")
        try await ends("binary", "status = 'completed' AND result ->> 'output' = repeat(U&'\\FFFD', 2)")
        try await ends("killed", "status = 'pending' AND attempts = 1 AND error_message LIKE '%signal 9 (SIGKILL%'")
        try await ends("daemon", "status = 'completed' AND result = '{}'")
        try await ends("chatty", "status = 'completed' AND result = '{}'")
        try await ends("noisy", "status = 'completed' AND result = '7'")
        try await ends("deaf", "status = 'pending' AND error_message LIKE 'Timed out: attempt 1 ran longer than 1 s%'")
        // The last of them has wiped its traces: it goes once nothing runs that is older.
        let limit = ContinuousClock.now + .seconds(10)
        while !Self.leftBehind.isEmpty, ContinuousClock.now < limit { try await Task.sleep(for: .milliseconds(20)) }
        #expect(Self.leftBehind == [])
        await daemon.stop()
    }

    private func ends(_ type: String, _ condition: String) async throws {
        try await database.waitUntil(
            "job_type = '\(type)' AND status <> 'processing' AND attempts > 0", atMost: .seconds(60))
        let found = try await database.value(
            "SELECT concat_ws(' ', status, attempts, result, error_message) FROM public.jobs WHERE job_type = \(type)",
            as: String.self)
        #expect(
            try await database.count("job_type = '\(type)' AND \(condition)") == 1, "\(type): \(found ?? "no row")")
    }

    /// The numbers of processes that one of the programs has left.
    private static var leftBehind: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.filter { name in
            guard Int(name) != nil, let line = FileManager.default.contents(atPath: "/proc/\(name)/cmdline") else {
                return false
            }
            let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            return words.count == 2 && words[0] == "sleep" && words[1] == mark
        }
    }
}
