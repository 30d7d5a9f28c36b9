import CLibCurl
import Glibc
import Synchronization

/// The thread that moves all bytes of a client: one libcurl multi handle, and a box for commands.
final class TransferThread: Sendable {
    private enum Command: Sendable {
        case start(Call)
        case abort(Call)
    }

    private struct Inbox {
        var commands: [Command] = []
        var isClosed = false
        var hasEnded = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let configuration: Client.Configuration
    private let inbox = Mutex(Inbox())
    // Used by the thread alone, but for `curl_multi_wakeup`, which libcurl allows from any thread.
    // That one is called with `inbox` locked and `hasEnded` unset, and the thread frees the handle
    // only after setting it, so never during or before a wake-up.
    nonisolated(unsafe) private let multi: UnsafeMutableRawPointer

    init(configuration: Client.Configuration) {
        precondition(
            configuration.maxConnections > 0 && configuration.maxConnectionsPerHost > 0,
            "an HTTP client needs at least one connection")
        guard let multi = curl_multi_init() else { preconditionFailure("curl_multi_init: no memory") }
        self.configuration = configuration
        self.multi = multi
        shim_multi_set_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, configuration.maxConnectionsPerHost)
        shim_multi_set_long(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, configuration.maxConnections)
        // How many idle connections are kept; without it a quiet client keeps four.
        shim_multi_set_long(multi, CURLMOPT_MAXCONNECTS, configuration.maxConnections)
    }

    /// Starts the thread; it holds this object until it ends.
    func start() {
        var thread = pthread_t()
        let result = pthread_create(&thread, nil, transferThreadMain, Unmanaged.passRetained(self).toOpaque())
        precondition(result == 0, "pthread_create: \(String(cString: strerror(result)))")
        pthread_detach(thread)
    }

    /// Hands a call over. `false` after `stop`: the caller ends it.
    func submit(_ call: Call) -> Bool { post(.start(call)) }

    /// Closes the connection of a call that has ended, if it has one.
    func abort(_ call: Call) { _ = post(.abort(call)) }

    /// Ends the thread and all calls; `continuation` is resumed when that is done.
    func stop(then continuation: CheckedContinuation<Void, Never>?) {
        let hasEnded = inbox.withLock { inbox in
            guard !inbox.hasEnded else { return true }
            if let continuation { inbox.waiting.append(continuation) }
            if !inbox.isClosed {
                inbox.isClosed = true
                curl_multi_wakeup(multi)
            }
            return false
        }
        if hasEnded { continuation?.resume() }
    }

    private func post(_ command: Command) -> Bool {
        inbox.withLock { inbox in
            guard !inbox.isClosed else { return false }
            // A box that wasn't empty has had its wake-up.
            if inbox.commands.isEmpty { curl_multi_wakeup(multi) }
            inbox.commands.append(command)
            return true
        }
    }

    // MARK: On the thread

    fileprivate func run() {
        var transfers: [UnsafeMutableRawPointer: Transfer] = [:]
        while true {
            let (commands, isClosed) = inbox.withLock { inbox in
                defer { inbox.commands.removeAll(keepingCapacity: true) }
                return (inbox.commands, inbox.isClosed)
            }
            for command in commands {
                switch command {
                case .start(let call): start(call, in: &transfers)
                case .abort(let call):
                    if let transfer = transfers.values.first(where: { $0.call === call }) {
                        remove(transfer, from: &transfers)
                    }
                }
            }
            if isClosed { break }
            var running: Int32 = 0
            curl_multi_perform(multi, &running)
            var result = CURLE_OK
            while let easy = shim_multi_next_done(multi, &result) {
                guard let transfer = transfers[easy] else { continue }
                let outcome = transfer.outcome(of: result, stallTimeout: configuration.stallTimeout)
                remove(transfer, from: &transfers)
                transfer.call.end(outcome)
            }
            let pause = expire(&transfers)
            curl_multi_poll(multi, nil, 0, Int32(pause.wholeMilliseconds), nil)
        }
        end(&transfers)
    }

    private func start(_ call: Call, in transfers: inout [UnsafeMutableRawPointer: Transfer]) {
        guard !call.hasEnded else { return }
        let transfer = Transfer(call, configuration: configuration)
        if let failure = transfer.setUpFailure {
            call.end(.failure(failure))
            return
        }
        transfers[transfer.easy] = transfer
        curl_multi_add_handle(multi, transfer.easy)
    }

    private func remove(_ transfer: Transfer, from transfers: inout [UnsafeMutableRawPointer: Transfer]) {
        curl_multi_remove_handle(multi, transfer.easy)
        transfers[transfer.easy] = nil
    }

    /// Ends what is past its deadline, and tells how long nothing else will be.
    ///
    /// Not left to libcurl, whose own time-out starts only when a connection is free.
    private func expire(_ transfers: inout [UnsafeMutableRawPointer: Transfer]) -> Duration {
        var pause = Duration.seconds(60)
        guard !transfers.isEmpty else { return pause }
        let now = ContinuousClock.now
        for transfer in transfers.values {
            let left = transfer.call.deadline - now
            if left > .zero {
                pause = min(pause, left)
            } else {
                remove(transfer, from: &transfers)
                transfer.call.end(.failure(HTTPError.timedOut(after: transfer.call.request.timeout)))
            }
        }
        return pause
    }

    private func end(_ transfers: inout [UnsafeMutableRawPointer: Transfer]) {
        for transfer in transfers.values {
            remove(transfer, from: &transfers)
            transfer.call.end(.failure(HTTPError.clientShutDown))
        }
        let waiting = inbox.withLock { inbox in
            inbox.hasEnded = true
            return inbox.waiting
        }
        curl_multi_cleanup(multi)
        for continuation in waiting { continuation.resume() }
    }
}

extension Duration {
    /// Rounded up, from 1 to what a C `int` holds, as 0 means "no limit" to libcurl.
    var wholeMilliseconds: Int {
        let limit = Duration.milliseconds(Int64(Int32.max) - 1)
        let (seconds, attoseconds) = min(max(self, .zero), limit).components
        return max(1, Int(seconds) * 1000 + Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000))
    }
}

/// A free function, not a closure: C calls it on the new thread, where no isolation holds.
private func transferThreadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    shim_name_this_thread("http")
    // Signals are for the other threads; a SIGPIPE of this one's own writes stays pending, unseen.
    var signals = sigset_t()
    sigfillset(&signals)
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    Unmanaged<TransferThread>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
