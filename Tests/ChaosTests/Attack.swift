import ArgumentParser
import Development
import FoundationEssentials
import Glibc
import Postgres

/// `chaos`: the attack, the time of rest after it, and the judgement.
struct Attack: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "attack")

    @Option(help: "How long faults happen.")
    var minutes = 1.0

    @Option(help: "Chooses jobs and faults; without it, another one each time.")
    var seed: UInt64?

    @Option(help: "Worker processes.")
    var workers = 4

    @Option(help: "Jobs a second.")
    var rate = 20.0

    @Option(help: "Mean seconds between two faults.")
    var pause = 1.0

    @Option(help: "A folder for the workers' logs and ledgers, kept at the end.")
    var keep: String?

    @Flag(
        help:
            "Then break each invariant about schedules, workflows, limits, webhooks and alerts in what was written down, and see whether it is noticed."
    )
    var prove = false

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        var course = Course()
        course.minutes = minutes
        course.seed = seed ?? .random(in: 1..<1_000_000)
        course.workers = workers
        course.rate = rate
        course.faultPause = .seconds(pause)
        print("chaos: seed \(course.seed), \(course.minutes) min, \(course.workers) workers")
        fflush(nil)
        let directory = keep ?? "/tmp/jobworker-chaos-\(getpid())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let database = try await ChaosDatabase.start(in: directory + "/postgres")
        let violations: Int
        do {
            violations = try await judge(course, database, directory)
        } catch {
            await database.stop()
            throw error
        }
        await database.stop()
        if keep == nil { try? FileManager.default.removeItem(atPath: directory) }
        if violations > 0 { throw ExitCode(1) }
    }

    private func judge(_ course: Course, _ database: ChaosDatabase, _ directory: String) async throws -> Int {
        let log = FaultLog()
        let clients = Clients(pool: database.clients)
        let arrangements = try Arrangements(database: database)
        defer { arrangements.receiver.stop() }
        try await arrangements.begin()
        var slots: [WorkerSlot] = []
        for index in 0..<course.workers {
            slots.append(
                try WorkerSlot(
                    index: index, course: course, directory: directory, server: database.server, faults: log,
                    changes: arrangements.environment))
        }
        for slot in slots { try await slot.start() }
        await attack(course, database, slots, clients, arrangements, log)
        // Sessions from before the last restart.
        await database.admin.closeIdle()
        try await arrangements.end()
        let rest = try await Rest.wait(database)
        try await arrangements.settle()
        for slot in slots { await slot.stop() }
        // Sessions from before the last restart.
        await database.admin.closeIdle()
        let evidence = Evidence(database: database)
        try await evidence.gather(
            ledgers: slots.map(\.ledgerPath), clients: clients, faults: log, received: arrangements.receiver.ids)
        let report = Report(course: course, database: database, clients: clients, faults: log, rest: rest)
        let broken = try await report.print()
        return prove ? broken + (try await report.prove()) : broken
    }

    /// Load and faults for the time asked for; afterwards nothing is broken any more and nothing added.
    private func attack(
        _ course: Course, _ database: ChaosDatabase, _ slots: [WorkerSlot], _ clients: Clients,
        _ arrangements: Arrangements, _ log: FaultLog
    ) async {
        let deadline = ContinuousClock.now + .seconds(course.minutes * 60)
        let director = FaultDirector(course: course, database: database, slots: slots, clients: clients, log: log)
        let clientCount = 4
        // About two jobs come of each of a client's actions.
        let pause = Duration.seconds(Double(clientCount) * 2.2 / course.rate)
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<clientCount {
                let random = SeededGenerator(seed: course.seed, stream: 10 + UInt64(number))
                group.addTask { await clients.run(random: random, pause: pause) }
            }
            let random = SeededGenerator(seed: course.seed, stream: 9)
            group.addTask { await arrangements.run(random: random, clients: clients) }
            await director.run(until: deadline)
            group.cancelAll()
        }
    }
}
