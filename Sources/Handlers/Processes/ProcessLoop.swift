import CProcess
import Glibc

/// What the thread of `ProcessThread` does: waits for descriptors and times, and serves the program each belongs to.
/// Used by that thread alone.
final class ProcessLoop {
    /// What a descriptor is to its program.
    enum Role: UInt64, CaseIterable {
        case input, output, error, channel, process
    }

    private let thread: ProcessThread
    private let poll: Int32
    private var programs: [UInt64: RunningProgram] = [:]
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
    private var lastStrayLook = ContinuousClock.now

    init(_ thread: ProcessThread) {
        self.thread = thread
        poll = cprocess_poll()
        precondition(poll >= 0, "epoll_create: \(String(cString: strerror(errno)))")
        // Numbers of programs begin with 1.
        watch(thread.wakeup, as: 0)
    }

    func run() -> Never {
        var ready = [UInt64](repeating: 0, count: 64)
        while true {
            let count = cprocess_wait(poll, &ready, Int32(ready.count), timeout)
            for tag in ready.prefix(Int(max(0, count))) { serve(tag) }
            tick()
        }
    }

    private func serve(_ tag: UInt64) {
        let (number, code) = (tag >> 3, tag & 7)
        guard number > 0 else {
            cprocess_event_clear(thread.wakeup)
            for command in thread.takeCommands() { obey(command) }
            return
        }
        guard let program = programs[number], let role = Role(rawValue: code) else { return }
        switch role {
        case .input: program.feedInput()
        case .output:
            // What was said before an answer is told before it.
            program.read(.channel, buffer)
            program.read(.error, buffer)
            program.read(.output, buffer)
        case .error, .channel: program.read(role, buffer)
        case .process: program.hasEnded()
        }
        settle(program)
    }

    private func obey(_ command: ProcessThread.Command) {
        switch command {
        case .start(let number, let launch, let mailbox):
            do throws(LaunchFailure) {
                let program = try RunningProgram(number: number, launch: launch, mailbox: mailbox, loop: self)
                programs[number] = program
                program.feedInput()
                settle(program)
            } catch {
                _ = mailbox.post(.end(ProgramEnd(status: .notStarted(error))))
            }
        case .write(let number, let bytes): programs[number]?.add(bytes)
        case .endInput(let number): programs[number]?.endInput()
        case .terminate(let number, let grace): programs[number]?.terminate(grace: grace)
        case .taken(let number): programs[number]?.resume()
        case .rest(let number, let limit): programs[number]?.rest(atMost: limit)
        }
    }

    private func settle(_ program: RunningProgram) {
        guard program.isCleared else { return }
        programs[program.number] = nil
        program.finish(buffer)
        mayHaveStrays = true
    }

    // MARK: Time

    private var timeout: Int32 {
        var next: ContinuousClock.Instant?
        for program in programs.values {
            if let moment = program.nextMoment { next = min(next ?? moment, moment) }
        }
        if thread.isAdoptingStrays, mayHaveStrays {
            let look = lastStrayLook + strayPause
            next = min(next ?? look, look)
        }
        guard let next else { return -1 }
        let left = next - .now
        guard left > .zero else { return 0 }
        return Int32(clamping: left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000 + 1)
    }

    /// While programs run, strays are mostly theirs.
    private var strayPause: Duration { programs.isEmpty ? .milliseconds(10) : .seconds(5) }

    private func tick() {
        let now = ContinuousClock.now
        for program in Array(programs.values) where program.nextMoment.map({ $0 <= now }) == true {
            program.tick(now)
            settle(program)
        }
        guard thread.isAdoptingStrays, mayHaveStrays, lastStrayLook + strayPause <= now else { return }
        lastStrayLook = now
        clearStrays()
    }

    /// Whether a program has ended, or an orphan was seen, since a look found none.
    private var mayHaveStrays = false

    /// Who wiped its environment and left its session is told by age: it descends from a program that ran when it began.
    private func clearStrays() {
        let oldest = programs.values.map(\.startTicks).min() ?? .max
        mayHaveStrays = !programs.isEmpty
        for pid in Orphans.current() where !programs.values.contains(where: { $0.pid == pid }) {
            guard let state = ProcessState(pid) else { continue }
            if state.isZombie {
                waitpid(pid, nil, WNOHANG)
            } else {
                if state.startTicks < oldest { kill(pid, SIGKILL) }
                mayHaveStrays = true
            }
        }
    }

    // MARK: Descriptors

    /// - Parameter forWriting: Instead of reading.
    func watch(_ descriptor: Int32, forWriting: Bool = false, as tag: UInt64) {
        cprocess_watch(poll, descriptor, forWriting ? 1 : 0, tag)
    }

    func unwatch(_ descriptor: Int32) { cprocess_unwatch(poll, descriptor) }
}
