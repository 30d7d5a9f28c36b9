import Synchronization

/// A running program. Whoever starts one waits for its end.
final class Program: Sendable {
    let number: UInt64
    private let mailbox: Mailbox
    private let thread: ProcessThread

    init(number: UInt64, mailbox: Mailbox, thread: ProcessThread) {
        self.number = number
        self.mailbox = mailbox
        self.thread = thread
    }

    /// Lines, and at last its end; waits for something. For one reader.
    func next() async -> [Mailbox.Item] {
        let items = await mailbox.next()
        if mailbox.wasFull() { thread.post(.taken(number)) }
        return items
    }

    /// What waits already. For the same reader.
    func waiting() -> [Mailbox.Item] {
        let items = mailbox.waiting()
        if mailbox.wasFull() { thread.post(.taken(number)) }
        return items
    }

    /// Ends it unless something is written to it within this time.
    func rest(atMost limit: Duration) { thread.post(.rest(number, limit)) }

    /// Adds to its standard input.
    func write(_ bytes: [UInt8]) { thread.post(.write(number, bytes)) }

    /// Ends its standard input.
    func endInput() { thread.post(.endInput(number)) }

    /// SIGTERM to its process group, SIGKILL after `grace`.
    func terminate(grace: Duration = Program.grace) { thread.post(.terminate(number, grace)) }

    static let grace = Duration.seconds(10)
}
