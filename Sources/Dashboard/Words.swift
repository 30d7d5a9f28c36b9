import ControlPlane
import Postgres
import Terminal

/// Values of JSON documents, as pages show them.
enum Words {
    static func text(_ node: JSONNode?) -> String {
        switch node {
        case .string(let text): text
        case .number(let digits): digits
        case .bool(let value): value ? "yes" : "no"
        case .null, nil: ""
        case .array, .object: node?.text ?? ""
        }
    }

    static func time(_ node: JSONNode?) -> HTML { time(node?.string.flatMap { Timestamp(text: $0) }) }

    static func time(_ moment: Timestamp?) -> HTML {
        guard let moment else { return "—" }
        let exact = moment.text(fractionDigits: 0)
        return "<time datetime=\"\(exact)\" title=\"\(exact)\">\(Timestamp.now.duration(since: moment).agoWords)</time>"
    }

    /// What was counted to a limit says so.
    static func count(_ value: Int) -> String {
        value > OverviewFigures.countMax ? "over \(grouped(OverviewFigures.countMax))" : grouped(value)
    }

    /// With blanks between thousands, which stay in one line.
    static func grouped(_ value: Int) -> String {
        var digits = String(value.magnitude)
        var text = ""
        while digits.count > 3 {
            text = "\u{202F}" + digits.suffix(3) + text
            digits.removeLast(3)
        }
        return (value < 0 ? "−" : "") + digits + text
    }

    static func percent(_ share: Double?) -> String {
        share.map { "\(Int(($0 * 1000).rounded()) / 10) %" } ?? "—"
    }

    static func seconds(_ value: Double?) -> String { value.map { Duration.seconds(max(0, $0)).words } ?? "—" }

    static func sign(_ state: String) -> String {
        switch state {
        case "completed", "alive", "delivered", "done", "healthy": "✓"
        case "failed", "dead_letter", "silent", "unhealthy": "✗"
        case "processing", "running": "▶"
        case "cancelled", "stopped", "aborted": "■"
        case "paused", "degraded": "‖"
        case "blocked": "◇"
        default: "○"
        }
    }

    /// A state: a sign and a word, never colour alone.
    static func state(_ node: JSONNode?) -> HTML {
        let word = text(node)
        return
            "<span class=\"state state-\(word)\"><span aria-hidden=\"true\">\(sign(word))</span> \(word.replacing("_", with: " "))</span>"
    }

    static func identifier(_ node: JSONNode?) -> HTML {
        let id = text(node)
        return id.isEmpty
            ? "—"
            : "<a href=\"/dashboard/jobs/\(address: id)\" title=\"\(id)\"><code>\(String(id.prefix(8)))</code></a>"
    }
}
