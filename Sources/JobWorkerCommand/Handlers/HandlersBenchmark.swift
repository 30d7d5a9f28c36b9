import ArgumentParser
import Bench
import Console
import JobWorker
import Terminal

extension Benchmarks {
    struct HandlersCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "handlers", abstract: "What programs as handlers cost; needs no database.",
            discussion: """
                A program for each job, in turn with a bare fork and exec of the same program; then jobs a second \
                through kept copies of a small program.
                """)

        @Option(help: "Jobs by a program of their own; ten times as many by each kept one.")
        var jobs = 1000

        @Option(help: "Kept copies.")
        var pool = 2

        @Flag(help: "Print JSON: one document.")
        var json = false

        func validate() throws {
            try check("jobs", jobs, 10...1_000_000)
            try check("pool", pool, 1...100)
        }

        func run() async throws {
            let result = try await HandlerBench(jobs: jobs, pool: pool).run()
            guard !json else { return Output.standard.line(try JSONText(encoding: result).text) }
            Output.standard.line(
                """
                A program for each job, \(jobs) jobs
                  by a handler       \(shownTimes(result.program.measured))
                  bare fork and exec \(shownTimes(result.program.compared))
                  added at the median \(shown(result.addedMilliseconds)) ms
                \(result.keptPrograms) kept programs
                  \(Int(result.keptJobsPerSecond)) jobs a second
                """)
        }
    }
}
