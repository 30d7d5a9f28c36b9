import Glibc
import Support
import Synchronization

/// Who is told of events: notes each, answers most, and now and then refuses one or keeps silent for a while.
final class Receiver: Sendable {
    private struct State {
        var ids: [String] = []
        var isHealed = false
        var random = SystemRandomNumberGenerator()
    }

    private final class Notes: Sendable {
        let state = Mutex(State())

        func answer(_ letter: ScriptedHTTPServer.Received) -> ScriptedHTTPServer.Reply {
            let luck = state.withLock { state in
                state.ids.append(letter.header("webhook-id") ?? "")
                return state.isHealed ? 1 : Double.random(in: 0..<1, using: &state.random)
            }
            switch luck {
            case ..<0.02: return .answer("", status: 500)
            // Heard, and the sender never learns of it.
            case ..<0.03: return .broken([])
            case ..<0.05:
                usleep(300_000)
                return .answer("")
            default: return .answer("")
            }
        }
    }

    private let notes = Notes()
    private let server: ScriptedHTTPServer

    init() throws {
        let notes = notes
        server = try ScriptedHTTPServer { notes.answer($0) }
    }

    var url: String { server.url("/events") }
    /// The events that came, each try one.
    var ids: [String] { notes.state.withLock { $0.ids } }

    func heal() { notes.state.withLock { $0.isHealed = true } }
    func stop() { server.stop() }
}
