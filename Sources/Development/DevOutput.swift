import FoundationEssentials
import Glibc
import Postgres
import Synchronization

/// What `jobworker dev` says on standard output: a line for each step with the time it took.
package final class DevOutput: Sendable {
    /// Lines of several tasks must not mix.
    private let lock = Mutex(())

    package init() {}

    package func line(_ text: String) {
        lock.withLock { _ in
            var rest = Array((text + "\n").utf8)[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }

    /// Says what is being done, does it, and says how long it took.
    package func step<Value: Sendable>(_ text: String, _ body: () async throws -> Value) async rethrows -> Value {
        let start = ContinuousClock.now
        do {
            let value = try await body()
            line("\(text): \(seconds(ContinuousClock.now - start))")
            return value
        } catch {
            line("\(text): failed")
            throw error
        }
    }

    package func seconds(_ duration: Duration) -> String {
        let milliseconds = Int((duration / .milliseconds(1)).rounded())
        let tenths = (milliseconds + 50) / 100
        return milliseconds < 1000 ? "\(milliseconds) ms" : "\(tenths / 10).\(tenths % 10) s"
    }

    /// Where everything is, and what to try.
    package func tour(_ system: DevSystem, apollo: String) {
        line(
            """

            The system runs. In another terminal:

              export DATABASE_URL='\(system.databaseURL)'
              export WORKER_SOCKET='\(system.socketPath)'
              export WORKER_SECRET_TOKEN='\(system.token)'
              export WORKER_ENCRYPTION_KEYS='\(system.encryptionKeys)'
              export WORKSPACE=\(SampleWorkspace.enriched.text)
              export ACCOUNT=\(SampleWorkspace.accounts[1].id.text)

            and then, for example:

              jobworker enqueue enrich_account --workspace $WORKSPACE --payload "{\"account_id\":\"$ACCOUNT\"}" --wait
              jobworker jobs list
              jobworker stats
              jobworker health
              psql "$DATABASE_URL"

            The dashboard: http://\(system.httpListen ?? "(no free port; use --listen)")/dashboard
            Sign in with the token above.

            Apollo.io is played by \(apollo).
            The data are \(system.isKept ? "in \(system.directory)" : "removed at the end; --keep DIR keeps them").

            Ctrl-C ends it.

            """)
    }
}
