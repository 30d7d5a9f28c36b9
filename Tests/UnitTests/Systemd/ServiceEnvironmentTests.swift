import FoundationEssentials
import Glibc
import Systemd
import Support
import Testing

@Suite(.timeLimit(.minutes(5)))
struct WatchdogTests {
    @Test(
        arguments: [
            ([:], nil), (["WATCHDOG_USEC": "30000000"], .seconds(15)),
            (["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"], .seconds(15)),
            (["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"], nil),
            (["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "x"], nil), (["WATCHDOG_USEC": "0"], nil),
            (["WATCHDOG_USEC": "-5"], nil), (["WATCHDOG_USEC": "30s"], nil), (["WATCHDOG_USEC": ""], nil),
            (["WATCHDOG_USEC": "3"], .nanoseconds(1500)),
        ] as [([String: String], Duration?)])
    func `pings are due every half of the time-out, for the process that is watched`(
        environment: [String: String], interval: Duration?
    ) {
        #expect(Watchdog(environment: environment, processID: 7).interval == interval)
    }

    @Test func `the process's own environment is read`() async {
        await #expect(processExitsWith: .success) {
            setenv("WATCHDOG_USEC", "2000000", 1)
            setenv("WATCHDOG_PID", "\(getpid())", 1)
            #expect(Watchdog().timeout == .seconds(2))
            setenv("WATCHDOG_PID", "\(getpid() + 1)", 1)
            #expect(Watchdog().timeout == nil)
        }
    }
}

@Suite(.timeLimit(.minutes(5)))
struct ListenSocketsTests {
    @Test func `descriptors are taken over once, with their names, and not inherited`() async {
        // In a program of its own: in a process of the test library others have 3 and 4. By way of numbers that are free:
        // opening may have given 3 or 4 itself.
        let handOver = """
            import fcntl, os, socket, sys
            listener = socket.create_server(("127.0.0.1", 0))
            given = [listener.fileno(), os.open("/dev/null", os.O_RDONLY)]
            for number, descriptor in enumerate([fcntl.fcntl(one, fcntl.F_DUPFD, 100) for one in given], 3):
                os.dup2(descriptor, number)
            os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="api:kept")
            os.execv(sys.argv[1], sys.argv[1:])
            """
        let (status, output) = await runProgram([
            "python3", "-c", handOver, BuiltProgram.path("test-worker"), "listen-sockets",
        ])
        #expect(status == 0)
        #expect(
            output == """
                3 api listens
                4 kept
                then 0, unset

                """)
    }

    @Test func `what is meant for another process is left alone`() async {
        await #expect(processExitsWith: .success) {
            setenv("LISTEN_PID", "\(getpid() + 1)", 1)
            setenv("LISTEN_FDS", "1", 1)
            let sockets = try ListenSockets.take()
            #expect(sockets.isEmpty)
        }
    }

    @Test func `damaged variables are an error`() async {
        await #expect(processExitsWith: .success) {
            setenv("LISTEN_PID", "\(getpid())", 1)
            setenv("LISTEN_FDS", "many", 1)
            let error = #expect(throws: SystemdError.self) { try ListenSockets.take() }
            #expect(error?.description == "taking over the listening sockets: Invalid argument")
        }
    }
}

struct CredentialsTests {
    @Test(arguments: [
        ("postgres:///x", "postgres:///x"), ("secret\n", "secret"), ("secret\n\n", "secret\n"), ("\n", ""),
        ("", ""), ("  a\r\n", "  a\r"), ("ä", "ä"),
    ])
    func `one line end at the end is left out, and nothing else`(content: String, value: String) throws {
        #expect(try withCredential(Array(content.utf8)) { try $0.read("key") } == value)
    }

    @Test func `a credential that isn't there is nil`() throws {
        #expect(try withCredential([]) { try $0.read("other") } == nil)
        #expect(try Credentials(directory: nil).read("key") == nil)
        #expect(try Credentials(directory: "").read("key") == nil)
        #expect(try Credentials(directory: "/nonexistent").read("key") == nil)
    }

    @Test func `64 KiB are read, and not a byte more`() throws {
        let most = [UInt8](repeating: UInt8(ascii: "x"), count: 64 * 1024)
        #expect(try withCredential(most) { try $0.read("key")?.utf8.count } == 65536)
        withCredential(most + [UInt8(ascii: "x")]) { credentials in
            let error = #expect(throws: SystemdError.self) { try credentials.read("key") }
            #expect(error?.description == "reading the credential key: longer than 65536 bytes")
        }
    }

    @Test func `an error tells what is wrong without the content`() {
        withCredential([0x68, 0x75, 0x73, 0x68, 0xFF]) { credentials in
            let error = #expect(throws: SystemdError.self) { try credentials.read("key") }
            #expect(error?.description == "reading the credential key: not UTF-8")
        }
    }

    @Test func `only plain files are read`() throws {
        try withCredential([]) { credentials in
            let directory = try #require(credentials.directory)
            mkdir("\(directory)/folder", 0o700)
            mkfifo("\(directory)/pipe", 0o600)
            for name in ["folder", "pipe"] {
                let error = #expect(throws: SystemdError.self) { try credentials.read(name) }
                #expect(error?.reason == "not a plain file")
            }
            rmdir("\(directory)/folder")
            unlink("\(directory)/pipe")
        }
    }

    @Test(arguments: ["", ".", "..", "../key", "/etc/passwd", "a\u{0}b"])
    func `a name is not a path`(name: String) {
        withCredential([]) { credentials in
            let error = #expect(throws: SystemdError.self) { try credentials.read(name) }
            #expect(error?.reason == "a credential's name is a file name, not a path")
        }
    }

    /// Lends a directory that holds one credential, `key`.
    private func withCredential<Result>(
        _ content: [UInt8], _ body: (Credentials) throws -> Result
    ) rethrows -> Result {
        let directory = "/tmp/jobworker-credentials-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        mkdir(directory, 0o700)
        let descriptor = open("\(directory)/key", O_WRONLY | O_CREAT, 0o600)
        #expect(write(descriptor, content, content.count) == content.count)
        close(descriptor)
        defer {
            unlink("\(directory)/key")
            rmdir(directory)
        }
        return try body(Credentials(directory: directory))
    }
}
