import Development
import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// A worker whose clock is wrong.
extension ProcessFaults {
    @Suite(.database(), .enabled(if: WrongClock.compiler != nil, "there is no C compiler")) struct ClockTests {
        let database = TestDatabase.current

        @Test(arguments: [-315_600_000, -3600, 3600, 315_600_000])
        func `a worker with a wrong clock starts nothing early, and judges no lease by it`(seconds: Int) async throws {
            let directory = "/tmp/jobworker-clock-\(getpid())"
            let library = try await WrongClock.library(in: directory)
            try await database.makeAudit()
            let worker = try await RunningDaemon.startQuick(
                database, environment: ["WORKER_RETRY_BASE_SECONDS": "3600", "WORKER_RETRY_MAX_SECONDS": "3600"],
                wrapper: ["env", "LD_PRELOAD=\(library)", "CLOCK_SHIFT=\(seconds)"])
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
            if abs(seconds) > 100_000 {
                let year = WrongClock.year() + (seconds > 0 ? 10 : -10)
                #expect(worker.log.contains("\(year)-"), "the clock was right: this shows nothing")
            }
            try FileManager.default.removeItem(atPath: directory)
        }
    }
}

/// Shifts the wall clock of a program, as seen through the C library. Timers stay right, which libfaketime disturbs.
private enum WrongClock {
    static let compiler = ["/usr/bin/cc", "/usr/bin/clang"].first { (path: String) in access(path, X_OK) == 0 }

    private static let source = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdlib.h>
        #include <sys/time.h>
        #include <time.h>
        static long long shift(void) {
            const char *text = getenv("CLOCK_SHIFT");
            return text ? atoll(text) : 0;
        }
        int clock_gettime(clockid_t id, struct timespec *at) {
            static int (*real)(clockid_t, struct timespec *);
            if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
            int result = real(id, at);
            if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += shift();
            return result;
        }
        int gettimeofday(struct timeval *restrict at, void *restrict zone) {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            at->tv_sec = now.tv_sec;
            at->tv_usec = now.tv_nsec / 1000;
            return 0;
        }
        time_t time(time_t *at) {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            if (at) *at = now.tv_sec;
            return now.tv_sec;
        }
        """

    /// Builds the shim beside the worker's files.
    static func library(in directory: String) async throws -> String {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try source.write(toFile: "\(directory)/clock.c", atomically: false, encoding: .utf8)
        let compiler = try #require(compiler)
        let (status, output) = await runProgram([
            compiler, "-shared", "-fPIC", "-o", "\(directory)/clock.so", "\(directory)/clock.c", "-ldl",
        ])
        try #require(status == 0, "\(output)")
        return "\(directory)/clock.so"
    }

    static func year() -> Int {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        return Int(parts.tm_year) + 1900
    }
}
