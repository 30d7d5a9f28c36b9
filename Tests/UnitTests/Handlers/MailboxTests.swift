import Glibc
import JobWorker
import Testing

@testable import Handlers

/// What lies between the thread of programs and the task that waits for one.
@Suite struct MailboxTests {
    private let line = Mailbox.Item.line(.error, LineSplitter.Line(bytes: [UInt8](repeating: 0x78, count: 8192)))

    @Test func `who takes what was too much learns that the thread waits, whatever it still posts`() {
        let mailbox = Mailbox()
        while !mailbox.post(line) {}
        #expect(!mailbox.waiting().isEmpty)
        // The rest of what was read before it stopped.
        _ = mailbox.post(line)
        #expect(mailbox.wasFull())
        #expect(!mailbox.wasFull())
        #expect(!mailbox.post(line))
    }

    @Test func `the end is told to whoever asks, again and again`() async throws {
        let mailbox = Mailbox()
        _ = mailbox.post(line)
        _ = mailbox.post(.end(ProgramEnd(status: .exited(7))))
        #expect(await mailbox.next().count == 2)
        try #require(mailbox.waiting().count == 1)
        for items in [mailbox.waiting(), await mailbox.next(), await mailbox.next()] {
            guard items.count == 1, case .end(let end) = items[0] else {
                Issue.record("no end: \(items)")
                continue
            }
            #expect(end.status == .exited(7))
        }
    }

    @Test func `an end that nobody here has seen is no success`() {
        // Not its own child.
        #expect(ProgramEnd.Status.of(child: getpid()) == .unknown)
        let failure = ProgramFailure(ProgramEnd(status: .unknown), retryIn: nil).failure
        #expect(failure.kind == .retryable)
        #expect(failure.message.hasPrefix("How the program ended is not known"))
    }
}
