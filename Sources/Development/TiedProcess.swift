import Subprocess
import Synchronization

/// A program that can't outlive this process, however this process ends.
///
/// A small shell starts it and holds a pipe whose other end is ours: when that breaks, by SIGKILL too, the
/// shell ends the program. Both live in a session of their own, so that a Ctrl-C at the terminal reaches
/// only this process, which then stops them in its own order.
package final class TiedProcess: Sendable {
    package enum StopSignal: String, Sendable {
        case terminate = "TERM"
        case interrupt = "INT"
        case quit = "QUIT"
    }

    private enum Order {
        case send(Signal)
        case letGo
    }

    /// How the shell treats the program when this process is gone.
    package struct Orphaning: Sendable {
        package var signal: StopSignal
        /// Removed with all that is in them, once the program has ended.
        package var removes: [String]

        package init(signal: StopSignal = .terminate, removes: [String] = []) {
            self.signal = signal
            self.removes = removes
        }
    }

    /// What the program writes to its standard output, where that doesn't go to a file. Ends with the program.
    package let lines: AsyncStream<String>
    private let orders: AsyncStream<Order>.Continuation
    private let task: Task<Int32, any Error>
    private let isOver: Flag

    /// - Parameters:
    ///   - command: The program and its arguments.
    ///   - environment: Variables besides those of this process.
    ///   - log: A file to which its output is added.
    package init(
        _ command: [String], environment: [String: String] = [:], log: String? = nil,
        orphaning: Orphaning = Orphaning()
    ) {
        let (lines, report) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(10_000))
        let (asked, orders) = AsyncStream<Order>.makeStream()
        self.lines = lines
        self.orders = orders
        let isOver = Flag()
        self.isOver = isOver
        let arguments =
            [TiedProcess.script, "sh", log ?? "", orphaning.signal.rawValue]
            + [String(orphaning.removes.count)] + orphaning.removes + command
        task = Task {
            defer {
                isOver.set()
                report.finish()
            }
            return try await TiedProcess.run(
                ["-c"] + arguments, environment: environment, asked: asked, report: report, orders: orders)
        }
    }

    /// Asks the program to end, in the way it understands the signal.
    package func send(_ signal: StopSignal) {
        switch signal {
        case .terminate: orders.yield(.send(.terminate))
        case .interrupt: orders.yield(.send(.interrupt))
        case .quit: orders.yield(.send(.quit))
        }
    }

    /// Lets go of the pipe, as the end of this process does.
    package func letGo() { orders.yield(.letGo) }

    /// Whether the program has ended, or couldn't be started.
    package var hasEnded: Bool { isOver.isSet }

    /// Waits until the program has ended.
    /// - Returns: Its exit status, 128 and more for a signal; `nil` if it couldn't be started.
    @discardableResult
    package func ended() async -> Int32? {
        try? await task.value
    }

    private static func run(
        _ arguments: [String], environment: [String: String], asked: AsyncStream<Order>,
        report: AsyncStream<String>.Continuation,
        orders: AsyncStream<Order>.Continuation
    ) async throws -> Int32 {
        var options = PlatformOptions()
        options.createSession = true
        let result = try await Subprocess.run(
            .name("sh"), arguments: Arguments(arguments),
            environment: .inherit.updating(
                Dictionary(uniqueKeysWithValues: environment.map { (Environment.Key(stringLiteral: $0.key), $0.value) })
            ),
            platformOptions: options, input: .inputWriter, output: .sequence, error: .combinedWithOutput
        ) { execution in
            async let obeying: Void = {
                for await order in asked {
                    switch order {
                    case .send(let signal): try? execution.send(signal: signal)
                    case .letGo: try? await execution.standardInputWriter.finish()
                    }
                }
            }()
            defer { orders.finish() }
            for try await line in execution.standardOutput.strings() { report.yield(line) }
            orders.finish()
            await obeying
        }
        switch result.terminationStatus {
        case .exited(let code): return code
        case .signaled(let signal): return 128 + signal
        }
    }

    // Arguments: log file or nothing, signal for an orphan, number of paths to remove, those paths, the command.
    private static let script = """
        cd /
        # Our own end of the output stays open as long as the shell lives, also where the program writes to a file.
        exec 3<&0 4>&1 </dev/null
        log=$1 orphaned=$2 count=$3
        shift 3
        removes=
        while [ "$count" -gt 0 ]; do
            removes="$removes '$1'"
            shift
            count=$((count - 1))
        done
        child= asked= alone=
        stop() {
            asked=$1
            if [ -n "$child" ]; then kill -s "$asked" "$child" 2>/dev/null; fi
        }
        for signal in TERM INT QUIT; do trap "stop $signal" "$signal"; done
        trap 'alone=yes; stop "$orphaned"' USR1

        # A shell starts what runs in the background with INT and QUIT ignored.
        set -- env --default-signal=INT,QUIT "$@"
        if [ -n "$log" ]; then "$@" 3<&- >>"$log" 2>&1 & else "$@" 3<&- & fi
        child=$!
        if [ -n "$asked" ]; then stop "$asked"; fi

        # The read ends only when the owner is gone.
        { read -r _ <&3; kill -s USR1 $$; } >/dev/null 2>&1 &
        watch=$!
        exec 3<&-

        # A signal ends the wait as well.
        while :; do
            wait "$child"
            status=$?
            kill -0 "$child" 2>/dev/null || break
        done
        # Where both came at once, the wait told of the signal; the program's own status is kept until it is asked for.
        wait "$child"
        again=$?
        if [ "$again" -ne 127 ]; then status=$again; fi
        kill -s KILL "$watch" 2>/dev/null
        if [ -n "$alone" ] && [ -n "$removes" ]; then eval "rm -rf -- $removes"; fi
        exit "$status"
        """
}

/// Set once; a class, as an `Atomic` can't be captured by the task that sets it.
private final class Flag: Sendable {
    private let value = Atomic(false)

    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}
