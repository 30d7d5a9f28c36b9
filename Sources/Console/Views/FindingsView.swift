package import Doctor
package import Terminal

/// What the doctor found, a line each, with what to do below.
package struct FindingsView: View {
    private let findings: [Finding]

    package init(_ findings: [Finding]) { self.findings = findings }

    package var isHealthy: Bool { !findings.contains { $0.state == .fail } }

    /// With what the command ends.
    package var status: ExitStatus {
        switch findings.lazy.compactMap(\.obstacle).first {
        case .badSettings: .badConfiguration
        case .unreachable: .unreachable
        case .refused: .refused
        case nil: isHealthy ? .done : .failed
        }
    }

    package func text(for screen: Screen) -> String {
        let width = findings.reduce(0) { max($0, $1.subject.count) }
        var text = ""
        for finding in findings {
            let word = finding.state.rawValue + String(repeating: " ", count: 4 - finding.state.rawValue.count)
            let subject = finding.subject + String(repeating: " ", count: width - finding.subject.count)
            let indent = String(repeating: " ", count: width + 8)
            text += "\(screen.palette.paint(word, tone(finding)))  \(subject)  "
            text += wrapped(finding.message.oneLine, indent, screen.width)
            if let advice = finding.advice {
                text +=
                    indent + screen.palette.paint("→ ", .strong) + wrapped(advice.oneLine, indent + "  ", screen.width)
            }
        }
        return text + summary
    }

    private var summary: String {
        func counted(_ state: Finding.State, _ noun: String) -> String? {
            let count = findings.count { $0.state == state }
            return count > 0 ? "\(count) \(noun)\(count == 1 ? "" : "s")" : nil
        }
        let counts = [counted(.fail, "failure"), counted(.warn, "warning")].compactMap(\.self)
        return counts.isEmpty ? "\nAll is well.\n" : "\n\(counts.joined(separator: ", ")).\n"
    }

    private func tone(_ finding: Finding) -> Palette.Tone {
        switch finding.state {
        case .ok: .good
        case .warn: .caution
        case .fail: .bad
        }
    }

    /// Broken between words, further lines behind `indent`.
    private func wrapped(_ text: String, _ indent: String, _ width: Int?) -> String {
        let room = max(20, (width ?? .max) - indent.count)
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, line.displayWidth + 1 + word.displayWidth > room {
                lines.append(line)
                line = ""
            }
            line += line.isEmpty ? String(word) : " \(word)"
        }
        return (lines + [line]).joined(separator: "\n\(indent)") + "\n"
    }

    package var json: JSON {
        .object([
            ("healthy", .bool(isHealthy)), ("failures", .integer(findings.count { $0.state == .fail })),
            ("warnings", .integer(findings.count { $0.state == .warn })),
            (
                "findings",
                .array(
                    findings.map { finding in
                        .object([
                            ("subject", .string(finding.subject)), ("state", .string(finding.state.rawValue)),
                            ("message", .string(finding.message)), ("advice", JSON(finding.advice)),
                        ])
                    })
            ),
        ])
    }
}
