import CProcess
import Glibc
import Synchronization

/// The thread that starts programs, moves all bytes to and from them, and sees to it that nothing of them is left.
///
/// One for the process, and it lives as long: a program is killed with the thread that started it.
package final class ProcessThread: Sendable {
    enum Command: Sendable {
        case start(UInt64, Launch, Mailbox)
        case write(UInt64, [UInt8])
        case endInput(UInt64)
        case terminate(UInt64, Duration)
        case taken(UInt64)
        case rest(UInt64, Duration)
    }

    package static let shared = ProcessThread()

    private struct Inbox {
        var commands: [Command] = []
        var lastNumber: UInt64 = 0
    }

    private let inbox = Mutex(Inbox())
    /// An eventfd, never closed.
    let wakeup: Int32
    private let adoptsStrays = Atomic(false)

    private init() {
        wakeup = cprocess_event()
        precondition(wakeup >= 0, "eventfd: \(String(cString: strerror(errno)))")
        cprocess_adopt_orphans()
        cprocess_keep_ends()
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                cprocess_name_thread("programs")
                // A program that doesn't read its input is no reason to end.
                var pipes = sigset_t()
                sigemptyset(&pipes)
                sigaddset(&pipes, SIGPIPE)
                pthread_sigmask(SIG_BLOCK, &pipes, nil)
                ProcessLoop(Unmanaged<ProcessThread>.fromOpaque(argument).takeRetainedValue()).run()
            }, Unmanaged.passRetained(self).toOpaque())
        precondition(result == 0, "pthread_create: \(String(cString: strerror(result)))")
        pthread_detach(thread)
    }

    /// From now on every orphan in this process's care is taken for one of a handler: for a process that starts
    /// nothing else.
    package func adoptStrays() { adoptsStrays.store(true, ordering: .relaxed) }

    var isAdoptingStrays: Bool { adoptsStrays.load(ordering: .relaxed) }

    /// Starts a program; how that went is told by its `ProgramEnd`, as all else.
    func start(_ launch: Launch) -> Program {
        let number = inbox.withLock { inbox in
            inbox.lastNumber += 1
            return inbox.lastNumber
        }
        let mailbox = Mailbox()
        post(.start(number, launch, mailbox))
        return Program(number: number, mailbox: mailbox, thread: self)
    }

    func post(_ command: Command) {
        let wasEmpty = inbox.withLock { inbox in
            defer { inbox.commands.append(command) }
            return inbox.commands.isEmpty
        }
        // An inbox that wasn't empty has had its wake-up.
        if wasEmpty { cprocess_event_raise(wakeup) }
    }

    func takeCommands() -> [Command] {
        inbox.withLock { inbox in
            defer { inbox.commands.removeAll() }
            return inbox.commands
        }
    }
}
