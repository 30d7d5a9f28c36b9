import Synchronization

/// The copies of a program that wait for a job.
final class ProgramPool: Sendable {
    private struct State {
        var idle: [Program] = []
        var isClosed = false
    }

    /// Most that wait.
    private let size: Int
    private let idleTimeout: Duration
    private let state = Mutex(State())

    init(size: Int, idleTimeout: Duration) {
        self.size = size
        self.idleTimeout = idleTimeout
    }

    /// One that waits, else a new one. It belongs to the caller until it is given back or has ended.
    func take(start: () throws -> Program) async throws -> Program {
        while let program = state.withLock({ $0.idle.popLast() }) {
            // What it said after its last answer belongs to no job.
            let items = program.waiting()
            let isBusy = items.contains { if case .line(.output, _) = $0 { true } else { false } }
            if case .end = items.last { continue }
            if !isBusy { return program }
            // It answered without being asked: its next line would be taken for another job's.
            await ProgramPool.end(program)
        }
        return try start()
    }

    func give(back program: Program) async {
        let isKept = state.withLock { state in
            guard !state.isClosed, state.idle.count < size else { return false }
            // Before anybody can take it: a write ends the rest.
            program.rest(atMost: idleTimeout)
            state.idle.append(program)
            return true
        }
        if !isKept { await ProgramPool.end(program) }
    }

    /// Ends those that wait, and those that are given back from now on.
    func close() async {
        let idle = state.withLock { state in
            state.isClosed = true
            defer { state.idle = [] }
            return state.idle
        }
        // All at once: each may take the whole grace.
        for program in idle {
            program.endInput()
            program.terminate()
        }
        for program in idle { await ProgramPool.waitForEnd(of: program) }
    }

    /// Ends a program that nobody else reads from.
    static func end(_ program: Program) async {
        program.terminate()
        await waitForEnd(of: program)
    }

    private static func waitForEnd(of program: Program) async {
        while true {
            if case .end = await program.next().last { return }
        }
    }
}
