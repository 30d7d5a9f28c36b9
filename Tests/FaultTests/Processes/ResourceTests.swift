import Development
import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// A process that runs out of something.
extension ProcessFaults {
    @Suite(.database()) struct ResourceTests {
        let database = TestDatabase.current

        @Test func `a crowd of clients leaves descriptors for sessions with the database, and one more is answered`()
            async throws
        {
            let worker = try await RunningDaemon.startQuick(
                database, environment: ["WORKER_MAX_CONCURRENT": "2"], wrapper: ["prlimit", "--nofile=36", "--"])
            let crowd = try (0..<80).map { _ in try IdleClient(worker.socketPath) }
            // One of those that are taken in later may displace it.
            try await eventually("it answers one more") {
                (try? await worker.request("GET", "/healthz", timeout: .seconds(5)).status) == 200
            }
            let ended = try await database.query(
                """
                SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name LIKE 'jobworker%' AND pid <> pg_backend_pid()
                """)
            #expect(ended.count > 0)
            for _ in 0..<20 { try await database.insertJob("sleep", payload: #"{"seconds": 0.1}"#) }
            try await database.waitUntilQuiet()
            #expect(try await database.count("status = 'completed' AND attempts = 1") == 20)
            #expect(try await worker.request("GET", "/healthz", timeout: .seconds(30)).status == 200)
            for client in crowd { client.leave() }
            await worker.stop()
            #expect(worker.lastLogLine.contains("worker stopped"))
        }

        @Test func `a worker out of descriptors rests, and goes on when there are some`() async throws {
            let worker = try await RunningDaemon.startQuick(
                database, environment: ["WORKER_MAX_CONCURRENT": "2"])
            let pid = try await worker.processID(in: database)
            // Fewer than it has: not one more can be opened.
            try #require(await runProgram(["prlimit", "--pid", "\(pid)", "--nofile=8:"]).status == 0)
            let crowd = try (0..<80).map { _ in try IdleClient(worker.socketPath) }
            // Those that wait to be accepted aren't asked for without end.
            let (used, began) = (try ProcessFigures.processorTime(pid), ContinuousClock.now)
            try await Task.sleep(for: .seconds(2))
            let share = (try ProcessFigures.processorTime(pid) - used) / (ContinuousClock.now - began)
            print("processor meanwhile: \(share)")
            #expect(share < 0.5)
            for _ in 0..<20 { try await database.insertJob("sleep", payload: #"{"seconds": 0.1}"#) }
            try #require(await runProgram(["prlimit", "--pid", "\(pid)", "--nofile=1024:"]).status == 0)
            try await database.waitUntilQuiet()
            #expect(try await database.count("status = 'completed' AND attempts = 1") == 20)
            #expect(try await worker.request("GET", "/healthz", timeout: .seconds(30)).status == 200)
            for client in crowd { client.leave() }
            #expect(kill(pid, 0) == 0, "it has ended: \(worker.lastLogLine)")
            await worker.stop()
            #expect(worker.lastLogLine.contains("worker stopped"))
        }

        @Test func `two hundred clients that come at once wait for a worker that is held up`() async throws {
            let worker = try await RunningDaemon.startQuick(database)
            let pid = try await worker.processID(in: database)
            kill(pid, SIGSTOP)
            let crowd = try (0..<200).map { _ in try IdleClient(worker.socketPath) }
            kill(pid, SIGCONT)
            #expect(crowd.count(where: \.isConnected) == 200)
            for client in crowd { client.leave() }
            #expect(try await worker.request("GET", "/healthz", timeout: .seconds(10)).status == 200)
            await worker.stop()
        }

        @Test(.enabled(if: geteuid() == 0, "only root can make a file system"))
        func `a full disk under the runtime directory keeps no job from running`() async throws {
            let directory = "/tmp/jobworker-full-\(getpid())"
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            try #require(mount("tmpfs", directory, "tmpfs", 0, "size=64k") == 0)
            let worker = try RunningDaemon.quick(
                database, environment: ["RUNTIME_DIRECTORY": directory, "TMPDIR": directory])
            // Full before it starts: nothing can be written there, names may still be made.
            let file = open("\(directory)/ballast", O_WRONLY | O_CREAT, 0o600)
            let block = [UInt8](repeating: 1, count: 4096)
            while write(file, block, block.count) > 0 {}
            close(file)
            try await worker.waitUntilReady()
            for _ in 0..<5 { try await database.insertJob("noop") }
            try await database.waitUntilQuiet()
            #expect(try await database.count("status = 'completed'") == 5)
            await worker.stop()
            #expect(worker.lastLogLine.contains("worker stopped"))
            umount2(directory, Int32(MNT_DETACH))
            rmdir(directory)
        }

        @Test func `twenty thousand jobs leave no memory behind`() async throws {
            let worker = try await RunningDaemon.startQuick(
                database, environment: ["WORKER_MAX_CONCURRENT": "50", "WORKER_JOB_LOGS": "none"])
            let pid = try await worker.processID(in: database)
            var sizes: [Int] = []
            var descriptors: [Int] = []
            for _ in 0..<5 {
                try await database.query(
                    """
                    INSERT INTO public.jobs (workspace_id, job_type, payload)
                    SELECT \(TestDatabase.workspace), 'echo', jsonb_build_object('text', repeat('x', 1000))
                    FROM generate_series(1, 5000)
                    """)
                try await database.waitUntilQuiet(atMost: .seconds(300))
                sizes.append(try ProcessFigures.residentKilobytes(pid))
                descriptors.append(try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count)
            }
            print("resident after each 5,000 jobs, in kB: \(sizes); descriptors: \(descriptors)")
            // The first five thousand bring buffers to their size.
            let growth = sizes[4] - sizes[0]
            #expect(growth < 20_000, "after 20,000 jobs more: \(growth) kB")
            #expect(descriptors[4] <= descriptors[0] + 2)
            await worker.stop()
        }
    }
}

private enum ProcessFigures {
    /// Of all its threads.
    static func processorTime(_ pid: Int32) throws -> Duration {
        let line = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        // The name in parentheses may hold blanks; times are the fields 14 and 15 of all, counted from 1.
        let fields = try #require(line.split(separator: ")").last).split(separator: " ")
        let ticks = try #require(Int(fields[11])) + #require(Int(fields[12]))
        return .seconds(Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK))))
    }

    static func residentKilobytes(_ pid: Int32) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
        return try #require(
            line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) })
    }
}

/// A client that connects and says nothing.
private final class IdleClient: Sendable {
    let isConnected: Bool
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { bytes in
            bytes.copyBytes(from: path.utf8.prefix(bytes.count - 1))
        }
        // A full backlog refuses: that is as many as there can be.
        let descriptor = descriptor
        isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }

    func leave() { close(descriptor) }
}
