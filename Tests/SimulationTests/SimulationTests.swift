import FoundationEssentials
import Testing

/// Histories of a few workers, a table and many faults, each from a seed; see docs/simulation.md.
@Suite struct SimulationTests {
    /// More with `SIMULATION_HISTORIES=100000`; others with `SIMULATION_FIRST_SEED`.
    @Test func `whatever fails, in whatever order, no job is lost, run twice at once, or counted wrongly`() async {
        let first = environmentNumber("SIMULATION_FIRST_SEED") ?? 1
        let count = environmentNumber("SIMULATION_HISTORIES") ?? 10_000
        let began = ContinuousClock.now
        let failures = await violations(of: first..<(first + count))
        let seconds = (ContinuousClock.now - began) / .seconds(1)
        print("simulation: \(count) histories in \(seconds) s, \(Int(Double(count) / seconds)) a second")
        for (seed, violation) in failures.prefix(3) { record(seed, violation) }
        #expect(failures.isEmpty, "\(failures.count) of \(count) histories: seeds \(failures.prefix(20).map(\.seed))")
    }

    /// Seeds of histories that found something.
    @Test(arguments: [11, 86, 295, 764, 3139, 3290, 3922] as [UInt64])
    func `a history that once went wrong goes right`(seed: UInt64) {
        if let violation = Simulation(seed: seed).run() { record(seed, violation) }
    }

    /// One history, told: `SIMULATION_SEED=4711`.
    @Test(.enabled(if: environmentNumber("SIMULATION_SEED") != nil))
    func `a history is told`() throws {
        let simulation = Simulation(seed: try #require(environmentNumber("SIMULATION_SEED")), isRecording: true)
        let violation = simulation.run()
        print(simulation.history.joined(separator: "\n"))
        #expect(violation == nil)
    }

    @Test func `a seed tells the same history every time`() {
        func history() -> [String] {
            let simulation = Simulation(seed: 20, isRecording: true)
            _ = simulation.run()
            return simulation.history
        }
        let first = history()
        #expect(first.count > 20 && history() == first)
    }

    private func violations(of seeds: Range<UInt64>) async -> [(seed: UInt64, violation: String)] {
        let part: UInt64 = 250
        return await withTaskGroup(of: [(seed: UInt64, violation: String)].self) { group in
            for start in stride(from: seeds.lowerBound, to: seeds.upperBound, by: Int(part)) {
                group.addTask {
                    (start..<min(start + part, seeds.upperBound)).compactMap { seed in
                        Simulation(seed: seed).run().map { (seed, $0) }
                    }
                }
            }
            return await group.reduce(into: []) { $0 += $1 }.sorted { $0.seed < $1.seed }
        }
    }

    /// The end of the history, told again from its seed.
    private func record(_ seed: UInt64, _ violation: String) {
        let simulation = Simulation(seed: seed, isRecording: true)
        _ = simulation.run()
        Issue.record("SIMULATION_SEED=\(seed): \(violation)\n\(simulation.history.suffix(60).joined(separator: "\n"))")
    }
}

private func environmentNumber(_ name: String) -> UInt64? {
    ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
}
