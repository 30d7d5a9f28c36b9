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
            allowed to make databases.
            """,
        subcommands: [
            ThroughputCommand.self, LatencyCommand.self, EnqueueCommand.self, IdleCommand.self,
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

    struct ThroughputCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "throughput", abstract: "Jobs a second, beside what the bare statements allow.",
            discussion: """
                Jobs without work, all there before the first is claimed. A slot takes its next job when the completion \
                of the last is committed. Needs PostgreSQL's pgbench for the comparison.
                """)

        @OptionGroup var options: Options

        @Option(help: "Jobs of each run.")
        var jobs = 20_000

        @Option(help: "Jobs at once in each process.")
        var maxConcurrent = 50

        @Option(help: "Worker processes.")
        var processes = 1

        @Option(help: "Runs, in turn with pgbench.")
        var runs = 5

        @Option(help: "WORKER_JOB_LOGS of the workers.")
        var jobLogs = "info"

        func validate() throws {
            guard (100...10_000_000).contains(jobs) else { throw ValidationError("--jobs must be 100 to 10000000") }
            guard (1...10_000).contains(maxConcurrent) else {
                throw ValidationError("--max-concurrent must be 1 to 10000")
            }
            guard (1...100).contains(processes) else { throw ValidationError("--processes must be 1 to 100") }
            guard (1...100).contains(runs) else { throw ValidationError("--runs must be 1 to 100") }
        }

        func run() async throws {
            let result = try await options.withDatabase {
                try await ThroughputBench(
                    database: $0, program: ownProgram(), jobs: jobs, maxConcurrent: maxConcurrent, processes: processes,
                    runs: runs, jobLogs: jobLogs
                ).run()
            }
            try options.show(
                result,
                """
                \(jobs) jobs, \(processes) process(es) with \(maxConcurrent) at once, \(runs) runs
                  \(whole(result.jobsPerSecond)) jobs/s
                  pgbench \(whole(result.ceilingJobsPerSecond)) jobs/s (\(result.ceiling))
                  ratio \(shown(result.ratio))
                  processor time per 1000 jobs: worker \(shown(result.workerCPUSecondsPer1000Jobs)) s, \
                server \(shown(result.serverCPUSecondsPer1000Jobs)) s; peak memory \(shown(result.peakMegabytes)) MB
                """)
        }

    }

    struct EnqueueCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "enqueue", abstract: "Jobs a second that can be added, beside the bare table.",
            discussion: """
                One by one and in batches, beside the same inserts into the table without its triggers. Needs \
                PostgreSQL's pgbench, and a server on this machine whose files it may read with COPY.
                """)

        @OptionGroup var options: Options

        @Option(help: "Jobs of each run in batches; a tenth of them one by one.")
        var jobs = 100_000

        @Option(help: "Clients at once.")
        var clients = 20

        @Option(help: "Runs, each in turn with its comparison.")
        var runs = 5

        func validate() throws {
            guard (1000...10_000_000).contains(jobs) else { throw ValidationError("--jobs must be 1000 to 10000000") }
            guard (1...90).contains(clients) else { throw ValidationError("--clients must be 1 to 90") }
            guard (1...100).contains(runs) else { throw ValidationError("--runs must be 1 to 100") }
        }

        func run() async throws {
            let result = try await options.withDatabase {
                try await EnqueueBench(database: $0, jobs: jobs, clients: clients, runs: runs).run()
            }
            try options.show(
                result,
                """
                Jobs added a second, \(runs) runs
                  one by one           \(line(result.oneByOne, "without triggers"))
                  by \(clients) clients at once \(line(result.concurrent, "without triggers"))
                  \(jobs) in batches    \(line(result.batches, "COPY without triggers"))
                """)
        }

        private func line(_ comparison: EnqueueBench.Comparison, _ other: String) -> String {
            """
            \(whole(comparison.jobsPerSecond)), \(other) \(whole(comparison.ceilingJobsPerSecond)), ratio \
            \(shown(comparison.ratio))
            """
        }
    }

    struct LatencyCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "latency", abstract: "Time from an INSERT to the start of its job, on an idle worker.")

        @OptionGroup var options: Options

        @Option(help: "Jobs to insert, one after another.")
        var jobs = 500

        func validate() throws {
            guard (1...1_000_000).contains(jobs) else { throw ValidationError("--jobs must be 1 to 1000000") }
        }

        func run() async throws {
            let result = try await options.withDatabase { try await LatencyBench(database: $0, jobs: jobs).run() }
            try options.show(
                result,
                """
                INSERT to start of the job, \(jobs) jobs, idle worker
                  p50 \(shown(result.milliseconds.p50)) ms   p95 \(shown(result.milliseconds.p95)) ms   \
                p99 \(shown(result.milliseconds.p99)) ms   max \(shown(result.milliseconds.max)) ms
                  processor time \(shown(result.cpuSecondsPer1000Jobs)) s per 1000 jobs, peak memory \
                \(shown(result.peakMegabytes)) MB
                """)
        }
    }

    struct IdleCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "idle", abstract: "What a worker without jobs uses, and how soon it is ready.")

        @OptionGroup var options: Options

        @Option(help: "Starts of the worker.")
        var starts = 5

        func validate() throws {
            guard (1...100).contains(starts) else { throw ValidationError("--starts must be 1 to 100") }
        }

        func run() async throws {
            let result = try await options.withDatabase {
                try await IdleBench(database: $0, program: ownProgram(), starts: starts).run()
            }
            try options.show(
                result,
                """
                Idle worker, \(starts) starts
                  start to READY=1: median \(shown(result.startToReadyMilliseconds.p50)) ms, \
                most \(shown(result.startToReadyMilliseconds.max)) ms
                  resident memory \(shown(result.residentMegabytes)) MB, processor \(shown(result.cpuPercent)) % of a core
                """)
        }
    }
}

/// With two decimals.
private func shown(_ value: Double) -> String {
    let hundredths = Int((value * 100).rounded())
    let fraction = hundredths % 100
    return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"
}

/// A rate's median, least and most.
private func whole(_ rate: Repetitions) -> String {
    "\(Int(rate.median)) (\(Int(rate.least)) to \(Int(rate.most)))"
}
