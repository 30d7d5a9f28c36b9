import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// A worker whose clock is wrong. Needs libfaketime (Debian's package of that name).
extension ProcessFaults {
    @Suite(.database(), .enabled(if: Faketime.library != nil, "libfaketime is not installed")) struct ClockTests {
        let database = TestDatabase.current

        @Test(arguments: ["-10y", "-1h", "+1h", "+10y"])
        func `a worker with a wrong clock starts nothing early, and judges no lease by it`(offset: String) async throws
        {
            let library = try #require(Faketime.library)
            try await database.makeAudit()
            let worker = try await RunningDaemon.startQuick(
                database, environment: ["WORKER_RETRY_BASE_SECONDS": "3600", "WORKER_RETRY_MAX_SECONDS": "3600"],
                wrapper: [
                    "env", "LD_PRELOAD=\(library)", "FAKETIME=\(offset)", "FAKETIME_DONT_FAKE_MONOTONIC=1",
                ])
            let later = try await database.insertJob("noop", scheduledIn: .seconds(1800))
            // Another's, alive by the database's clock, and one whose worker is silent by it.
            let alive = try await database.insertJob("noop", status: .processing, workerID: "other")
            let keepsBeating = Task {
                while !Task.isCancelled {
                    try await database.query(
                        "UPDATE public.jobs SET worker_heartbeat_at = clock_timestamp() WHERE id = \(alive)")
                    try await Task.sleep(for: .milliseconds(200))
                }
            }
            let silent = try await database.insertJob(
                "noop", status: .processing, workerID: "gone", heartbeatAge: .seconds(60))
            let failing = try await database.insertJob("fail")
            let running = try await database.insertJob("sleep", payload: #"{"seconds": 2}"#)
            try await database.waitUntil("id = '\(running.text)' AND status = 'completed'", atMost: .seconds(60))
            try await database.waitUntil("id = '\(silent.text)' AND status = 'pending'", atMost: .seconds(60))
            keepsBeating.cancel()
            _ = await keepsBeating.result
            #expect(try await database.job(later).attempts == 0)
            #expect(try await database.job(alive).status == "processing")
            #expect(try await database.job(alive).workerDeaths == 0)
            #expect((3500...4000).contains(try #require(try await database.job(silent).retryIn)))
            #expect((3500...3600).contains(try #require(try await database.job(failing).retryIn)))
            #expect(try await database.job(running).attempts == 1)
            let off = try await database.count(
                """
                abs(extract(epoch FROM started_at - now())) > 600 OR abs(extract(epoch FROM completed_at - now())) > 600
                OR abs(extract(epoch FROM worker_heartbeat_at - now())) > 600
                """)
            #expect(off == 0)
            #expect(
                try await database.count("abs(extract(epoch FROM seen_at - now())) > 600", of: "public.job_workers")
                    == 0)
            await worker.stop()
            // It was wrong indeed: the log tells the time of the worker.
            if offset.hasSuffix("y") {
                let year = Faketime.year() + (offset == "+10y" ? 10 : -10)
                #expect(worker.log.contains("\(year)-"), "the clock was right: this shows nothing")
            }
        }
    }
}

private enum Faketime {
    static let library = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]
        .map { $0 + "/faketime/libfaketimeMT.so.1" }.first { access($0, R_OK) == 0 }

    static func year() -> Int {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        return Int(parts.tm_year) + 1900
    }
}
