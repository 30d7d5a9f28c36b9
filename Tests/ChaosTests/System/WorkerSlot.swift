import Development
import FoundationEssentials
import Glibc

/// One worker and its proxy: the place of a process that is killed and started again, many times.
actor WorkerSlot {
    let index: Int
    let proxy: FaultProxy
    private let course: Course
    private let directory: String
    private let faults: FaultLog
    private let changes: [String: String]
    private var process: TiedProcess?
    private var generation = 0
    private var began = ContinuousClock.now
    /// Somebody breaks this one; others leave it alone meanwhile.
    private var isTaken = false
    private var endsOnPurpose = false
    private(set) var workerID = ""
    private(set) var processID: pid_t = 0

    /// - Parameter changes: Variables of its environment that differ from the course's.
    init(
        index: Int, course: Course, directory: String, server: PrivatePostgres, faults: FaultLog,
        changes: [String: String] = [:]
    ) throws {
        self.index = index
        self.course = course
        self.directory = "\(directory)/worker-\(index)"
        self.faults = faults
        self.changes = changes
        proxy = try FaultProxy(to: server)
        try FileManager.default.createDirectory(atPath: self.directory, withIntermediateDirectories: true)
    }

    /// Sends SIGTERM and returns at once; its end is expected from now on.
    func terminate() {
        endsOnPurpose = true
        process?.send(.terminate)
    }

    /// Its exit status, once it has ended.
    func ended() async -> Int32? { await process?.ended() }

    /// How often the processes of this place have begun each job.
    nonisolated func runs() throws -> [Substring: Int] {
        let lines = try String(contentsOfFile: ledgerPath, encoding: .utf8).split(separator: "\n")
        return lines.map { $0.split(separator: "\t") }.filter { $0.count > 3 && $0[1] == Ledger.Event.start.rawValue }
            .reduce(into: [:]) { $0[$1[3], default: 0] += 1 }
    }

    nonisolated var ledgerPath: String { "\(directory)/ledger" }
    nonisolated var logPath: String { "\(directory)/log" }

    func take() -> Bool {
        defer { isTaken = true }
        return !isTaken
    }

    func giveBack() { isTaken = false }

    /// Starts the next process; returns when its number is known.
    func start() async throws {
        generation += 1
        began = .now
        workerID = "w\(index)-\(generation)"
        endsOnPurpose = false
        let pidPath = "\(directory)/pid-\(generation)"
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        // Through a shell that becomes the program, so that the number written is the program's.
        let process = TiedProcess(
            ["sh", "-c", "echo $$ >\"$1.new\"; mv \"$1.new\" \"$1\"; exec \"$2\" worker", "sh", pidPath, program],
            environment: course.environment(
                workerID: workerID, instance: "chaos-\(index)", directory: directory,
                database: proxy.connectionString(database: ChaosDatabase.name, role: ChaosDatabase.role)
            ).merging(changes) { $1 },
            log: logPath)
        self.process = process
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline, !process.hasEnded {
            if let text = try? String(contentsOfFile: pidPath, encoding: .utf8),
                let number = pid_t(text.prefix { $0 != "\n" })
            {
                processID = number
                watch(process, workerID)
                return
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw ChaosError("worker \(workerID) didn't start; its log: \(logPath)")
    }

    /// Notes an end that nobody asked for, and starts the next.
    private func watch(_ process: TiedProcess, _ id: String) {
        Task {
            let status = await process.ended()
            guard !endsOnPurpose, id == workerID else { return }
            faults.noteDeath("worker \(id) ended by itself with \(status ?? -1)")
            try? await start()
        }
    }

    /// SIGKILL. Returns when the process has ended.
    func kill() async {
        guard let process, !process.hasEnded else { return }
        endsOnPurpose = true
        Glibc.kill(processID, SIGKILL)
        await process.ended()
    }

    /// SIGTERM. Returns when the process has ended.
    func drain() async {
        guard let process, !process.hasEnded else { return }
        endsOnPurpose = true
        process.send(.terminate)
        let begin = ContinuousClock.now
        let killer = Task {
            try await Task.sleep(for: .seconds(60))
            Glibc.kill(processID, SIGKILL)
        }
        let status = await process.ended()
        killer.cancel()
        // Before a program's first instruction SIGTERM ends it as the kernel does; then it has done nothing yet.
        let isUnborn = status == 128 + SIGTERM && begin - began < .seconds(1)
        if status != 0, !isUnborn {
            faults.noteDeath(
                "worker \(workerID) ended with \(status ?? -1) \(ContinuousClock.now - begin) after SIGTERM")
        }
    }

    /// SIGSTOP, and SIGCONT later. A shell does both: a stopped process must not be left behind if this one dies.
    func freeze(for duration: Duration) async {
        let script = "trap 'kill -CONT $1; exit' TERM; kill -STOP $1; sleep $2 & wait $!; kill -CONT $1"
        let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
        await TiedProcess(["sh", "-c", script, "sh", "\(processID)", "\(seconds)"]).ended()
    }

    func stop() async {
        await drain()
        proxy.close()
    }
}
