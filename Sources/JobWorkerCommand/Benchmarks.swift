import ArgumentParser
import Bench
import FoundationEssentials
import Settings

/// `jobworker bench`: measures this machine and database.
struct Benchmarks: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measures this machine and database.",
        discussion: """
            On the server that DATABASE_URL names, in a database of its own that it makes and drops: the login must be \
            allowed to make databases. The measured worker acts as a role of its own that is a member of the role \
            jobworker, where the login may make one.
            """,
        subcommands: [
            ThroughputCommand.self, LatencyCommand.self, EnqueueCommand.self, ClaimCommand.self, IdleCommand.self,
            MemoryCommand.self, HandlersCommand.self,
        ])

    struct Options: ParsableArguments {
        @Option(help: ArgumentHelp("The configuration file.", valueName: "path"))
        var config: String?

        @Flag(help: "Prints JSON.")
        var json = false

        /// Runs `body` on a database of its own, and drops that whatever happens.
        func withDatabase<Value>(_ body: (BenchDatabase) async throws -> Value) async throws -> Value {
            let settings = try Configuration.load(Sources.ofProcess(file: config))
            let url = settings[Catalog.databaseURL]?.withText { $0 } ?? ""
            let database = try await BenchDatabase.create(connectionString: url)
            do {
                let value = try await body(database)
                try await database.drop()
                return value
            } catch {
                try? await database.drop()
                throw error
            }
        }

        func show(_ result: some Encodable, _ text: String) throws {
            guard json else { return print(text) }
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.sortedKeys]
            print(String(decoding: try encoder.encode(result), as: UTF8.self))
        }
    }

    /// Refuses a number that is out of range.
    static func check(_ option: String, _ value: Int, _ range: ClosedRange<Int>) throws {
        guard range.contains(value) else {
            throw ValidationError("--\(option) must be \(range.lowerBound) to \(range.upperBound)")
        }
    }

    /// With two decimals.
    static func shown(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        let fraction = hundredths % 100
        return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"
    }

    /// A rate's median, least and most.
    static func shownRate(_ rate: Sample) -> String { "\(Int(rate.p50)) (\(Int(rate.min)) to \(Int(rate.max)))" }

    /// How times are spread.
    static func shownTimes(_ times: Sample) -> String {
        """
        p50 \(shown(times.p50)) ms   p90 \(shown(times.p90)) ms   p95 \(shown(times.p95)) ms   \
        p99 \(shown(times.p99)) ms   max \(shown(times.max)) ms
        """
    }
}

extension Benchmarks {
    struct ThroughputCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "throughput", abstract: "Jobs a second, beside what the bare statements allow.",
            discussion: """
                Jobs without work, all there before the first is claimed. A slot takes its next job when the completion \
                of the last is committed. In turn with PostgreSQL's pgbench, which it needs, and with workers that \
                write no rows to job_logs.
                """)

        @OptionGroup var options: Options

        @Option(help: "Jobs of each run.")
        var jobs = 20_000

        @Option(help: "Jobs at once in each process.")
        var maxConcurrent = 50

        @Option(help: "Worker processes.")
        var processes = 1

        @Option(help: "Runs, in turn with what they are compared with.")
        var runs = 5

        @Option(help: "WORKER_JOB_LOGS of the workers.")
        var jobLogs = "info"

        func validate() throws {
            try check("jobs", jobs, 100...10_000_000)
            try check("max-concurrent", maxConcurrent, 1...10_000)
            try check("processes", processes, 1...100)
            try check("runs", runs, 1...100)
        }

        func run() async throws {
            var wanted = ThroughputBench.Options()
            (wanted.jobs, wanted.maxConcurrent, wanted.processes) = (jobs, maxConcurrent, processes)
            (wanted.runs, wanted.jobLogs) = (runs, jobLogs)
            let result = try await options.withDatabase {
                try await ThroughputBench(database: $0, program: ownProgram(), options: wanted).run()
            }
            let oneStatement =
                result.oneStatement.map {
                    "\n  with one statement that completes and claims \(shownRate($0.jobsPerSecond)) jobs/s, "
                        + "ratio \(shown($0.ratio))"
                } ?? ""
            try options.show(
                result,
                """
                \(jobs) jobs, \(processes) process(es) with \(maxConcurrent) at once, \(runs) runs
                  \(shownRate(result.jobsPerSecond)) jobs/s
                  pgbench, with such rows in job_logs \(shownRate(result.ceilingWithRowsJobsPerSecond)) jobs/s, \
                ratio \(shown(result.ratioToCeilingWithRows))\(oneStatement)
                  pgbench, without rows \(shownRate(result.ceilingJobsPerSecond)) jobs/s, ratio \(shown(result.ratio))
                  (\(result.ceiling))
                  without rows \(shownRate(result.withoutLogRows.jobsPerSecond)) jobs/s, ratio to the first \
                \(shown(result.withoutLogRows.ratio)), to pgbench without rows \
                \(shown(result.withoutLogRows.ratioToCeiling))
                  processor time per 1000 jobs: worker \(shown(result.workerCPUSecondsPer1000Jobs)) s, \
                server \(shown(result.serverCPUSecondsPer1000Jobs)) s; peak memory \(shown(result.peakMegabytes)) MB
                  workers and pgbench are \(result.role)
                """)
        }
    }

    struct LatencyCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "latency", abstract: "Time from an INSERT to the start of its job.",
            discussion: """
                On a worker in this process, while it is idle and while half of its slots are taken. In turn with two \
                plain connections: one inserts a row and notifies, the other one is woken and claims it, in a table with \
                the indexes and checks of jobs (floor) and in one with nothing but its key (bare).
                """)

        @OptionGroup var options: Options

        @Option(help: "Jobs to insert, one after another, in each of the two parts.")
        var jobs = 500

        @Option(help: "Slots of the worker.")
        var maxConcurrent = 10

        func validate() throws {
            try check("jobs", jobs, 1...1_000_000)
            try check("max-concurrent", maxConcurrent, 2...1000)
        }

        func run() async throws {
            let result = try await options.withDatabase {
                try await LatencyBench(database: $0, jobs: jobs, slots: maxConcurrent).run()
            }
            try options.show(
                result,
                """
                INSERT to start of the job, \(jobs) jobs, worker with \(maxConcurrent) slots in this process
                idle
                \(lines(result.idle))
                half of the slots taken
                \(lines(result.halfLoad))
                  processor time \(shown(result.cpuSecondsPer1000Jobs)) s per 1000 jobs, peak memory \
                \(shown(result.peakMegabytes)) MB; the worker is \(result.role)
                """)
        }

        private func lines(_ timing: LatencyBench.Timing) -> String {
            """
              worker  \(shownTimes(timing.milliseconds))
              floor   \(shownTimes(timing.floorMilliseconds))
              bare    \(shownTimes(timing.bareMilliseconds))
              ratio to the floor of p50 \(shown(timing.ratioP50)), of p99 \(shown(timing.ratioP99))
            """
        }
    }

    struct EnqueueCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "enqueue", abstract: "Jobs a second that can be added, beside the bare table.",
            discussion: """
                One by one and in batches, beside the same inserts into the table without its triggers; then while a \
                worker is idle, and while all slots of one are taken. Needs PostgreSQL's pgbench, and a server on this \
                machine whose files it may read with COPY.
                """)

        @OptionGroup var options: Options

        @Option(help: "Jobs of each run in batches; a tenth of them one by one.")
        var jobs = 100_000

        @Option(help: "Clients at once.")
        var clients = 20

        @Option(help: "Slots of the worker.")
        var maxConcurrent = 5

        @Option(help: "Runs, each in turn with its comparison.")
        var runs = 5

        func validate() throws {
            try check("jobs", jobs, 1000...10_000_000)
            try check("clients", clients, 1...90)
            try check("max-concurrent", maxConcurrent, 1...1000)
            try check("runs", runs, 1...100)
        }

        func run() async throws {
            let result = try await options.withDatabase {
                try await EnqueueBench(
                    database: $0, program: ownProgram(), jobs: jobs, clients: clients, slots: maxConcurrent, runs: runs
                ).run()
            }
            try options.show(
                result,
                """
                Jobs added a second, \(runs) runs
                  one by one           \(line(result.oneByOne, "without triggers"))
                  by \(clients) clients at once \(line(result.concurrent, "without triggers"))
                  \(jobs) in batches    \(line(result.batches, "COPY without triggers"))
                while a worker is idle, beside no worker
                \(lines(result.idleWorker))
                while \(result.slots) of \(result.slots) slots are taken, beside no worker
                \(lines(result.saturatedWorker))
                  jobs are added by \(result.role)
                """)
        }

        private func lines(_ rates: EnqueueBench.Rates) -> String {
            """
              one by one           \(line(rates.oneByOne, "alone"))
              by \(clients) clients at once \(line(rates.concurrent, "alone"))
              \(jobs) in batches    \(line(rates.batches, "alone"))
            """
        }

        private func line(_ comparison: Comparison, _ other: String) -> String {
            """
            \(shownRate(comparison.measured)), \(other) \(shownRate(comparison.compared)), ratio \
            \(shown(comparison.ratio))
            """
        }
    }

    struct ClaimCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "claim", abstract: "Time of a claim in a table full of other rows, beside an empty one.",
            discussion: """
                No worker runs: the claim is sent as a worker sends it. Filling the table takes minutes with the \
                default sizes, and some 10 GB of disk; a size of 0 leaves its condition out.
                """)

        @OptionGroup var options: Options

        @Option(help: "Claims of each condition.")
        var claims = 200

        @Option(help: "Jobs of each claim.")
        var batch = 10

        @Option(help: "Finished jobs.")
        var finished = 10_000_000

        @Option(help: "Jobs of any priority that are due tomorrow and later.")
        var future = 1_000_000

        @Option(help: "Due jobs in ten other queues.")
        var otherQueues = 1_000_000

        @Option(help: "Due jobs of a type that nobody serves.")
        var unserved = 100_000

        @Option(help: "Jobs that were added, claimed and completed without a vacuum.")
        var churned = 100_000

        @Option(help: "Over how many seconds these come, with autovacuum as shipped; 0: at once, and none vacuumed.")
        var churnSeconds = 0

        @Option(help: "The same of those that come while a session holds an older snapshot open: so old is it then.")
        var snapshotSeconds = 0

        @Option(help: "Old jobs that retention takes away meanwhile.")
        var retired = 500_000

        func validate() throws {
            try check("claims", claims, 1...100_000)
            try check("batch", batch, 1...1000)
            for (name, rows) in [
                ("finished", finished), ("future", future), ("other-queues", otherQueues), ("unserved", unserved),
                ("churned", churned), ("retired", retired),
            ] {
                try check(name, rows, 0...1_000_000_000)
            }
            try check("churn-seconds", churnSeconds, 0...86_400)
            try check("snapshot-seconds", snapshotSeconds, 0...86_400)
        }

        func run() async throws {
            var wanted = ClaimBench.Options()
            (wanted.claims, wanted.batch, wanted.finished, wanted.future) = (claims, batch, finished, future)
            (wanted.otherQueues, wanted.unserved, wanted.churned) = (otherQueues, unserved, churned)
            (wanted.churnSeconds, wanted.snapshotSeconds, wanted.retired) = (churnSeconds, snapshotSeconds, retired)
            let result = try await options.withDatabase { try await ClaimBench(database: $0, options: wanted).run() }
            try options.show(
                result,
                ([
                    "\(claims) claims of \(batch) jobs each, \(claims) looks that find nothing, and as many of the timer at "
                        + "everything, by \(result.role)"
                ]
                    + result.conditions.flatMap(lines)).joined(separator: "\n"))
        }

        private func lines(_ condition: ClaimBench.Condition) -> [String] {
            let span = condition.seconds > 0 ? ", over \(condition.seconds) s" : ""
            let retired = condition.retired.map { ": \($0)" } ?? ""
            return [
                "\(condition.rows) \(condition.name)\(span)\(retired)",
                line("claim", condition.claim), line("look ", condition.look), line("timer", condition.poll),
            ]
        }

        private func line(_ name: String, _ times: ClaimBench.Times) -> String {
            """
              \(name)  p50 \(shown(times.milliseconds.p50)) ms   p99 \(shown(times.milliseconds.p99)) ms   \
            empty table p50 \(shown(times.emptyMilliseconds.p50)) ms   p99 \(shown(times.emptyMilliseconds.p99)) ms   \
            ratio \(shown(times.ratioP50)), \(shown(times.ratioP99))
            """
        }
    }

    struct IdleCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "idle", abstract: "What a worker without jobs uses, and how soon it is ready.")

        @OptionGroup var options: Options

        @Option(help: "Starts of the worker.")
        var starts = 5

        @Option(help: "How many seconds the last one is watched.")
        var seconds = 60

        func validate() throws {
            try check("starts", starts, 1...100)
            try check("seconds", seconds, 1...86_400)
        }

        func run() async throws {
            let result = try await options.withDatabase {
                try await IdleBench(database: $0, program: ownProgram(), starts: starts, seconds: seconds).run()
            }
            try options.show(
                result,
                """
                Idle worker, \(starts) starts, watched for \(seconds) s
                  start to READY=1: median \(shown(result.startToReadyMilliseconds.p50)) ms, \
                most \(shown(result.startToReadyMilliseconds.max)) ms
                  start to a first job's completion: median \(shown(result.startToFirstJobMilliseconds.p50)) ms, \
                most \(shown(result.startToFirstJobMilliseconds.max)) ms
                  resident memory \(shown(result.residentMegabytes)) MB, processor \(shown(result.cpuPercent)) % of a core
                  \(result.connections) connections, \(shown(result.transactionsPerMinute)) transactions a minute
                """)
        }
    }

    struct MemoryCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "memory", abstract: "Resident memory of a worker: idle, with many jobs, and after many.")

        @OptionGroup var options: Options

        @Option(help: "Jobs without work that pass through the worker before the last look.")
        var jobs = 1_000_000

        @Option(help: "Slots of the worker, all taken for the second look.")
        var maxConcurrent = 500

        func validate() throws {
            try check("jobs", jobs, 1...1_000_000_000)
            try check("max-concurrent", maxConcurrent, 1...10_000)
        }

        func run() async throws {
            let result = try await options.withDatabase {
                try await MemoryBench(database: $0, program: ownProgram(), jobs: jobs, slots: maxConcurrent).run()
            }
            try options.show(
                result,
                """
                Resident memory of a worker with \(maxConcurrent) slots
                  idle \(shown(result.idle)) MB
                  with \(maxConcurrent) running jobs \(shown(result.running)) MB
                  after \(jobs) jobs \(shown(result.after)) MB, most \(shown(result.peak)) MB
                """)
        }
    }
}
