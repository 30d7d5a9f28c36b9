/// What a proxy knows; touched only under its lock.
extension FaultProxyThread {
    struct State {
        var mode = FaultProxy.Mode.pass
        /// By application name.
        var modes: [String: FaultProxy.Mode] = [:]
        var rules: [(rule: FaultProxy.Rule, hit: AsyncStream<Void>.Continuation)] = []
        var links: [Int: FaultProxyLink] = [:]
        var attempts = 0
        /// Statements that came, by the name in their first comment.
        var statements: [String: Int] = [:]
        var isStopped = false
        var buffer = [UInt8](repeating: 0, count: 65_536)

        func mode(of link: FaultProxyLink) -> FaultProxy.Mode {
            link.isDead ? .stall() : link.application.flatMap { modes[$0] } ?? mode
        }

        mutating func cut(_ id: Int, resetting: Bool = true) {
            links.removeValue(forKey: id)?.close(resetting: resetting)
        }

        /// As if the peer's machine had vanished: what is open hangs, what comes passes.
        func deaden(application: String) {
            for link in links.values where link.application == application { link.isDead = true }
        }

        mutating func disarm() {
            for (_, hit) in rules { hit.finish() }
            rules = []
        }
    }
}

extension FaultProxy.Mode {
    /// Whether it stops one of these directions; with both given, whether it stops both.
    func stalls(_ directions: FaultProxy.Directions) -> Bool {
        if case .stall(let stalled) = self { stalled.isSuperset(of: directions) } else { false }
    }

    var delay: Duration {
        if case .delay(let delay) = self { delay } else { .zero }
    }
}
