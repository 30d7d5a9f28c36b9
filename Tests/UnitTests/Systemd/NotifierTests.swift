import Glibc
import Synchronization
import Systemd
import Support
import Testing

/// libsystemd reads the environment of the process, so what needs a variable runs in a process of its
/// own (an exit test), with a real socket in place of systemd's.
@Suite(.timeLimit(.minutes(5)))
struct NotifierTests {
    @Test func `messages reach the socket of NOTIFY_SOCKET`() async {
        await #expect(processExitsWith: .success) {
            let systemd = try NotifySocket()
            setenv("NOTIFY_SOCKET", systemd.path, 1)
            let notifier = Notifier()
            #expect(notifier.isActive)
            #expect(notifier.ready())
            #expect(systemd.receive() == "READY=1")
            #expect(notifier.watchdogPing())
            #expect(systemd.receive() == "WATCHDOG=1")
            #expect(notifier.stopping())
            #expect(systemd.receive() == "STOPPING=1")
            // The variable is still there for whoever comes next.
            #expect(Notifier().isActive)
        }
    }

    @Test func `a message that can't be sent is told as such`() async {
        await #expect(processExitsWith: .success) {
            let systemd = try NotifySocket()
            setenv("NOTIFY_SOCKET", systemd.path, 1)
            let notifier = Notifier()
            unlink(systemd.path)
            #expect(!notifier.ready())
            #expect(!notifier.status("unseen"))
        }
    }

    @Test(arguments: [nil, ""] as [String?])
    func `without NOTIFY_SOCKET nothing happens`(address: String?) async {
        await #expect(processExitsWith: .success) { [address] in
            if let address { setenv("NOTIFY_SOCKET", address, 1) } else { unsetenv("NOTIFY_SOCKET") }
            let notifier = Notifier()
            #expect(!notifier.isActive)
            #expect(!notifier.ready())
            #expect(!notifier.status("x"))
            #expect(!notifier.extendTimeout(.seconds(1)))
        }
    }

    @Test func `a status is sent once until it changes`() {
        let messages = SentMessages()
        let notifier = Notifier(sending: messages.add)
        for text in ["2 running", "2 running", "3 running", "2 running"] { notifier.status(text) }
        #expect(messages.all == ["STATUS=2 running", "STATUS=3 running", "STATUS=2 running"])
    }

    @Test func `a status that wasn't sent is tried again`() {
        let messages = SentMessages(isBroken: true)
        let notifier = Notifier(sending: messages.add)
        #expect(!notifier.status("x"))
        #expect(!notifier.status("x"))
        #expect(messages.all.count == 2)
    }

    @Test func `a status can't bring in another variable`() {
        let messages = SentMessages()
        Notifier(sending: messages.add).status("draining\nMAINPID=1\r\tü")
        #expect(messages.all == ["STATUS=draining MAINPID=1  ü"])
    }

    @Test(
        arguments: [
            (.seconds(2), "2000000"), (.milliseconds(1500), "1500000"), (.nanoseconds(999), "0"), (.seconds(-1), "0"),
        ] as [(Duration, String)])
    func `the time-out is extended in microseconds`(duration: Duration, text: String) {
        let messages = SentMessages()
        Notifier(sending: messages.add).extendTimeout(duration)
        #expect(messages.all == ["EXTEND_TIMEOUT_USEC=\(text)"])
    }

    @Test func `reloading carries the monotonic clock, in microseconds`() throws {
        let messages = SentMessages()
        var before = timespec()
        clock_gettime(CLOCK_MONOTONIC, &before)
        Notifier(sending: messages.add).reloading()
        var after = timespec()
        clock_gettime(CLOCK_MONOTONIC, &after)
        let lines = try #require(messages.all.first).split(separator: "\n")
        #expect(lines.count == 2 && lines[0] == "RELOADING=1")
        let time = try #require(Int(lines[1].dropFirst("MONOTONIC_USEC=".count)))
        #expect(lines[1].hasPrefix("MONOTONIC_USEC="))
        let microseconds = { (time: timespec) in time.tv_sec * 1_000_000 + time.tv_nsec / 1000 }
        #expect((microseconds(before)...microseconds(after)).contains(time))
    }
}

/// What a notifier said.
private final class SentMessages: Sendable {
    private let messages = Mutex<[String]>([])
    private let isBroken: Bool

    init(isBroken: Bool = false) { self.isBroken = isBroken }

    var all: [String] { messages.withLock { $0 } }

    @Sendable func add(_ message: String) -> Bool {
        messages.withLock { $0.append(message) }
        return !isBroken
    }
}

/// A datagram socket in place of systemd's.
private final class NotifySocket {
    let path = "/tmp/jobworker-notify-\(getpid()).sock"
    private let descriptor: Int32

    init() throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        try withUnixAddress(path) { address, length in
            guard bind(descriptor, address, length) == 0 else { throw SocketFailure("bind \(path)") }
        }
    }

    deinit {
        close(descriptor)
        unlink(path)
    }

    /// The next datagram; waits for it.
    func receive() -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return String(decoding: buffer[..<max(0, count)], as: UTF8.self)
    }
}
