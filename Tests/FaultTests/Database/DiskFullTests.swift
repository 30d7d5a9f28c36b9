import Development
import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// A disk with no room left under the server's data.
struct DiskFullTests {
    /// Whether this process may mount file systems; an unprivileged one may not.
    static let mayMount: Bool = {
        guard geteuid() == 0, let disk = try? SmallDisk(megabytes: 1) else { return false }
        disk.unmount()
        return true
    }()

    @Test(.enabled(if: mayMount, "mounting a small disk isn't permitted here"))
    func `a full disk stops the work, and nothing acknowledged is lost once there is room again`() async throws {
        let disk = try SmallDisk(megabytes: 160)
        defer { disk.unmount() }
        try await TestDatabase.withServer(
            in: "\(disk.path)/server",
            {
                $0.isDurable = true
                $0.settings["max_wal_size"] = "32MB"
                $0.settings["min_wal_size"] = "32MB"
            }
        ) { database in
            let ledger = Ledger()
            try await database.withWorker(
                ledger.processor(), change: { $0.hasten(lease: .seconds(10)) }
            ) { worker in
                try await database.insertJobs(20)
                try await database.waitUntilQuiet()
                try disk.fill()
                var acknowledged = 20
                // Rows of some size, so that new pages are needed soon.
                try await eventually("the server runs out of room", atMost: .seconds(120)) {
                    do {
                        try await database.query(
                            """
                            INSERT INTO public.jobs (workspace_id, job_type, payload)
                            SELECT \(TestDatabase.workspace), 'noop', jsonb_build_object('x',
                                (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 60 + 0 * n)))
                            FROM generate_series(1, 100) AS n
                            """)
                        acknowledged += 100
                        return false
                    } catch { return true }
                }
                disk.free()
                // Without room for its log the server gives up; then somebody starts it again.
                if (try? await database.query("SELECT 1")) == nil {
                    try await database.server.restart(.immediate)
                    await database.pool.closeIdle()
                }
                try await eventually("all is done") {
                    try await database.count("status IN ('pending', 'processing')") == 0
                }
                // The last batch was refused as a whole, or took effect and its answer was lost.
                let done = try await database.count("status = 'completed'")
                #expect(done == acknowledged || done == acknowledged + 100)
                #expect(ledger.jobs == done)
                #expect(ledger.repeated == 0)
                try await eventually("it is well again") { worker.state.snapshot.isConnected }
            }
        }
    }
}

/// A file system of a few megabytes in memory.
final class SmallDisk: Sendable {
    let path: String
    private var filler: String { "\(path)/filler" }

    init(megabytes: Int) throws {
        path = "/tmp/jobworker-disk-\(getpid())-\(String(UInt32.random(in: .min ... .max), radix: 36))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        guard mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m,mode=755") == 0 else {
            let reason = String(cString: strerror(errno))
            rmdir(path)
            throw DevelopmentError("no disk at \(path): \(reason)")
        }
    }

    /// Leaves no room.
    func fill() throws {
        let descriptor = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw DevelopmentError("\(filler): \(String(cString: strerror(errno)))") }
        let block = [UInt8](repeating: 1, count: 65_536)
        while write(descriptor, block, block.count) > 0 {}
        close(descriptor)
    }

    func free() { unlink(filler) }

    func unmount() {
        umount2(path, Int32(MNT_DETACH))
        rmdir(path)
    }
}
