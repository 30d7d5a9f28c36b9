import CProcess
import Glibc

/// A program from its start until nothing of it is left. Used by the thread of `ProcessThread` alone.
final class RunningProgram {
    let number: UInt64
    let pid: pid_t
    /// When it began, as the kernel counts.
    let startTicks: UInt64
    private unowned let loop: ProcessLoop
    private let mailbox: Mailbox
    private let output: Launch.Output
    private let errorLinesMax: Int
    /// All that it starts is in it, where there is one.
    private let scope: ProgramScope?
    /// In the environment of all that it starts.
    private let mark: [UInt8]
    private var descriptors: [ProcessLoop.Role: Int32] = [:]
    private var splitters: [ProcessLoop.Role: LineSplitter] = [
        .output: LineSplitter(limit: RunningProgram.resultMax),
        .error: LineSplitter(limit: RunningProgram.errorLineMax),
        .channel: LineSplitter(limit: RunningProgram.channelLineMax),
    ]
    private var waitingInput: [UInt8]
    private var inputOffset = 0
    private var isInputWatched = false
    private var endsInput: Bool
    private var isPaused = false
    private var errorLines = 0
    /// Something was written to it since its start.
    private var hadJob = false
    private var end = ProgramEnd(status: .exited(0))
    private var killAt: ContinuousClock.Instant?
    private var restUntil: ContinuousClock.Instant?
    /// It has ended, and what it left behind is being cleared away.
    private var clearing: Clearing?

    private struct Clearing {
        var next: ContinuousClock.Instant
        let until: ContinuousClock.Instant
        var killed: Set<pid_t> = []
    }

    /// Nothing is left of it: `finish` is due.
    private(set) var isCleared = false

    /// The longest result, as for every processor.
    static let resultMax = 1 << 20
    static let errorLineMax = 8 * 1024
    static let channelLineMax = 64 * 1024
    static let errorTailMax = 60 * 1024

    init(number: UInt64, launch: Launch, mailbox: Mailbox, loop: ProcessLoop) throws(LaunchFailure) {
        self.number = number
        self.loop = loop
        self.mailbox = mailbox
        output = launch.output
        errorLinesMax = launch.errorLinesMax
        waitingInput = launch.input
        endsInput = launch.endsInput
        let run = String(UInt64.random(in: .min ... .max), radix: 16)
        mark = Array("JOB_RUN=\(run)".utf8)
        var pipes = Pipes()
        defer { pipes.closeAll() }
        try pipes.open()
        var environment = launch.environment
        environment["JOB_RUN"] = run
        let scope = ProgramScope(number: number)
        self.scope = scope
        do throws(LaunchFailure) {
            pid = try ProgramStart(launch, environment: environment, members: scope?.members).start(pipes)
        } catch {
            scope?.remove()
            throw error
        }
        startTicks = ProcessState(pid)?.startTicks ?? 0
        // Should memory run out, a program goes before the worker does.
        ProcessFile.write("500", to: "/proc/\(pid)/oom_score_adj")
        let watched = cprocess_descriptor(pid)
        guard watched >= 0 else {
            let problem = errno
            kill(-pid, SIGKILL)
            waitpid(pid, nil, 0)
            scope?.remove()
            throw LaunchFailure(sentence: "pidfd_open: \(String(cString: strerror(problem)))", isShortage: true)
        }
        descriptors = pipes.takeOwn()
        descriptors[.process] = watched
        for (role, descriptor) in descriptors where role != .input {
            loop.watch(descriptor, as: number << 3 | role.rawValue)
        }
    }

    // MARK: Its input

    /// Gives it the next job.
    func add(_ bytes: [UInt8]) {
        restUntil = nil
        // What it said of the one before, maybe another workspace's, is not for this one's failure.
        if hadJob {
            end.errorTail = []
            splitters[.error] = LineSplitter(limit: RunningProgram.errorLineMax)
            splitters[.channel] = LineSplitter(limit: RunningProgram.channelLineMax)
        }
        hadJob = true
        waitingInput += bytes
        feedInput()
    }

    func endInput() {
        endsInput = true
        feedInput()
    }

    /// Writes as much as goes. Who doesn't want to read isn't made to.
    func feedInput() {
        guard let descriptor = descriptors[.input] else { return }
        while inputOffset < waitingInput.count {
            let count = waitingInput.withUnsafeBytes { bytes in
                write(descriptor, bytes.baseAddress?.advanced(by: inputOffset), bytes.count - inputOffset)
            }
            if count >= 0 {
                inputOffset += count
            } else if errno == EAGAIN {
                if !isInputWatched {
                    isInputWatched = true
                    loop.watch(descriptor, forWriting: true, as: number << 3 | ProcessLoop.Role.input.rawValue)
                }
                return
            } else if errno != EINTR {
                close(.input)
                return
            }
        }
        waitingInput.removeAll(keepingCapacity: true)
        inputOffset = 0
        if isInputWatched {
            isInputWatched = false
            loop.unwatch(descriptor)
        }
        if endsInput { close(.input) }
    }

    // MARK: Its words

    /// Takes one buffer full, if anything is there: others talk as well.
    /// - Returns: How many bytes were taken.
    @discardableResult func read(_ role: ProcessLoop.Role, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard let descriptor = descriptors[role] else { return 0 }
        while true {
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count > 0 {
                take(role, UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                return count
            } else if count == 0 {
                close(role)
                return 0
            } else if errno != EINTR {
                if errno != EAGAIN { close(role) }
                return 0
            }
        }
    }

    /// Takes what is in the pipe now, and no more: somebody who got away may fill it as fast as it is read.
    private func drain(_ role: ProcessLoop.Role, _ buffer: UnsafeMutableRawBufferPointer) {
        guard let descriptor = descriptors[role] else { return }
        var left = Int(cprocess_waiting(descriptor))
        while left > 0 {
            let count = read(role, UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(left, buffer.count)]))
            guard count > 0 else { return }
            left -= count
        }
    }

    private func take(_ role: ProcessLoop.Role, _ bytes: UnsafeRawBufferPointer) {
        if role == .error {
            keepTail(bytes)
            if errorLines > errorLinesMax {
                end.errorLinesLeftOut += LineSplitter.lineEnds(in: bytes)
                return
            }
        }
        guard var splitter = splitters.removeValue(forKey: role) else { return }
        splitter.feed(bytes) { take(role, $0) }
        splitters[role] = splitter
    }

    private func take(_ role: ProcessLoop.Role, _ line: LineSplitter.Line) {
        guard !line.isEmpty else { return }
        switch role {
        case .output:
            switch output {
            case .lastLine: end.lastLine = line
            case .everyLine: post(.line(.output, line))
            }
        case .error:
            errorLines += 1
            guard errorLines <= errorLinesMax else {
                end.errorLinesLeftOut += 1
                return
            }
            post(.line(.error, line))
        case .channel: post(.line(.channel, line))
        case .input, .process: return
        }
    }

    private func keepTail(_ bytes: UnsafeRawBufferPointer) {
        end.errorTail.append(contentsOf: bytes)
        // Twice the size, so that not each byte moves the others.
        if end.errorTail.count > 2 * RunningProgram.errorTailMax {
            end.errorTail.removeFirst(end.errorTail.count - RunningProgram.errorTailMax)
        }
    }

    private func post(_ item: Mailbox.Item) {
        guard mailbox.post(item), !isPaused else { return }
        isPaused = true
        for role in [ProcessLoop.Role.output, .error, .channel] {
            if let descriptor = descriptors[role] { loop.unwatch(descriptor) }
        }
    }

    /// Somebody has taken what waited.
    func resume() {
        guard isPaused else { return }
        isPaused = false
        for role in [ProcessLoop.Role.output, .error, .channel] {
            guard let descriptor = descriptors[role] else { continue }
            loop.watch(descriptor, as: number << 3 | role.rawValue)
        }
    }

    // MARK: Its end

    func terminate(grace: Duration) {
        guard clearing == nil else { return }
        restUntil = nil
        kill(-pid, grace > .zero ? SIGTERM : SIGKILL)
        killAt = min(killAt ?? .now + grace, .now + grace)
    }

    func rest(atMost limit: Duration) {
        guard clearing == nil, killAt == nil else { return }
        restUntil = .now + limit
    }

    var nextMoment: ContinuousClock.Instant? { clearing?.next ?? restUntil ?? killAt }

    func tick(_ now: ContinuousClock.Instant) {
        if clearing != nil {
            clear()
        } else if let restUntil, restUntil <= now {
            self.restUntil = nil
            end.hadRested = true
            endInput()
            terminate(grace: Program.grace)
        } else if let killAt, killAt <= now {
            self.killAt = nil
            kill(-pid, SIGKILL)
        }
    }

    /// Its first process has ended: what it left behind goes too.
    func hasEnded() {
        guard clearing == nil, let status = ProgramEnd.Status.of(child: pid) else { return }
        end.status = status
        // As long as it isn't reaped, its number and so its group's belong to nobody else.
        if status != .unknown { kill(-pid, SIGKILL) }
        scope?.kill()
        if status != .unknown { waitpid(pid, nil, 0) }
        close(.process)
        clearing = Clearing(next: .now, until: .now + .seconds(5))
        clear()
    }

    /// Ends and reaps the orphans that it left. Each may leave some in turn: looked at again until there are none.
    private func clear() {
        guard var clearing else { return }
        var isLeft = false
        for orphan in Orphans.current() where clearing.killed.contains(orphan) || isOwn(orphan) {
            if clearing.killed.insert(orphan).inserted { end.leftBehind += 1 }
            kill(orphan, SIGKILL)
            if waitpid(orphan, nil, WNOHANG) != orphan { isLeft = true }
        }
        clearing.next = .now + .milliseconds(2)
        self.clearing = clearing
        // Those that no orphan is known of yet.
        if let scope, !isLeft, scope.isPopulated {
            scope.kill()
            isLeft = true
        }
        if isLeft, clearing.until > .now { return }
        // One that was just reaped may have left its own children.
        if !clearing.killed.isEmpty, !isLeft, Orphans.current().contains(where: isOwn) { return }
        end.isUnclean = isLeft
        isCleared = true
        scope?.remove()
    }

    private func isOwn(_ orphan: pid_t) -> Bool {
        if ProcessState(orphan)?.session == pid || scope?.holds(orphan) == true { return true }
        guard let environment = ProcessFile.read("/proc/\(orphan)/environ") else { return false }
        return environment.split(separator: 0).contains { $0.elementsEqual(mark) }
    }

    /// Reads what is left in the pipes and tells its end.
    func finish(_ buffer: UnsafeMutableRawBufferPointer) {
        for role in [ProcessLoop.Role.output, .error, .channel] {
            drain(role, buffer)
            if let line = splitters[role]?.finish() { take(role, line) }
        }
        for role in ProcessLoop.Role.allCases { close(role) }
        if end.errorTail.count > RunningProgram.errorTailMax {
            end.errorTail.removeFirst(end.errorTail.count - RunningProgram.errorTailMax)
        }
        _ = mailbox.post(.end(end))
    }

    private func close(_ role: ProcessLoop.Role) {
        guard let descriptor = descriptors.removeValue(forKey: role) else { return }
        // Closing alone takes it out of the set only where nobody else holds the same pipe end.
        loop.unwatch(descriptor)
        Glibc.close(descriptor)
    }
}
