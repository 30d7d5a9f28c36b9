import ControlPlane
import Glibc
import Postgres
import Terminal

/// Values of JSON documents, as pages show them.
enum Words {
    /// By this machine's clock: for ages that are shown.
    static var now: Timestamp {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Timestamp(microseconds: Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000)
    }

    static func text(_ node: JSONNode?) -> String {
        switch node {
        case .string(let text): text
        case .number(let digits): digits
        case .bool(let value): value ? "yes" : "no"
        case .null, nil: ""
        case .array, .object: node?.text ?? ""
        }
    }

    static func time(_ node: JSONNode?) -> HTML {
        guard let text = node?.string, let moment = Timestamp(text: text) else { return "—" }
        let exact = moment.text(fractionDigits: 0)
        return "<time datetime=\"\(exact)\" title=\"\(exact)\">\(now.duration(since: moment).agoWords)</time>"
    }

    static func seconds(_ value: Double?) -> String { value.map { Duration.seconds(max(0, $0)).words } ?? "—" }

    /// A state: a sign and a word, never colour alone.
    static func state(_ node: JSONNode?) -> HTML {
        let word = text(node)
        let sign =
            switch word {
            case "completed", "alive": "✓"
            case "failed", "dead_letter", "silent": "✗"
            case "processing": "▶"
            case "cancelled", "stopped": "■"
            case "blocked": "⧗"
            default: "○"
            }
        return
            "<span class=\"state state-\(word)\"><span aria-hidden=\"true\">\(sign)</span> \(word.replacing("_", with: " "))</span>"
    }

    static func identifier(_ node: JSONNode?) -> HTML {
        let id = text(node)
        return id.isEmpty
            ? "—"
            : "<a href=\"/dashboard/jobs/\(address: id)\" title=\"\(id)\"><code>\(String(id.prefix(8)))</code></a>"
    }

    /// JSON on many lines.
    static func indented(_ node: JSONNode, depth: Int = 0) -> String {
        let blanks = String(repeating: "  ", count: depth + 1)
        let end = String(repeating: "  ", count: depth)
        switch node {
        case .object(let members) where !members.isEmpty:
            return "{\n"
                + members.map { "\(blanks)\(JSONNode.string($0.name).text): \(indented($0.value, depth: depth + 1))" }
                .joined(separator: ",\n") + "\n\(end)}"
        case .array(let elements) where !elements.isEmpty:
            return "[\n" + elements.map { blanks + indented($0, depth: depth + 1) }.joined(separator: ",\n")
                + "\n\(end)]"
        default: return node.text
        }
    }
}

/// A table with a caption and a sentence for when it is empty.
struct TableView {
    let caption: String
    let heads: [String]
    var rows: [HTML] = []
    let empty: HTML

    var html: HTML {
        guard !rows.isEmpty else { return "<div class=\"empty\">\(empty)</div>" }
        return """
            <div class="wide"><table><caption>\(caption)</caption><thead><tr>\(
                heads.map { "<th scope=\"col\">\($0)</th>" as HTML })</tr></thead><tbody>\(rows)</tbody></table></div>
            """
    }
}
