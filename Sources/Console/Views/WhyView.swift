package import Explanation
import FoundationEssentials
import Postgres
package import Terminal

/// An explanation, the decisive sentence first.
package struct WhyView: View {
    private let explanation: Explanation

    package init(_ explanation: Explanation) { self.explanation = explanation }

    package var json: JSON { explanation.json }

    package func text(for screen: Screen) -> String {
        let palette = screen.palette
        let state = palette.paint(explanation.state.rawValue, tone)
        var text = "\(palette.paint(explanation.id.text, .strong))  \(state)  "
        text += palette.paint("\(explanation.type) in \(explanation.queue)".oneLine, .faint) + "\n\n"
        text += wrapped(explanation.summary, after: "", screen) + "\n"
        for reason in explanation.reasons { text += wrapped(reason.text, after: "  - ", screen) }
        text += "\n" + wrapped(explanation.next.text, after: "Next: ", screen)
        return text
    }

    private var tone: Palette.Tone? {
        switch explanation.state {
        case .scheduled, .waiting: nil
        case .retrying, .snoozed, .blocked, .cancelling, .unserved: .caution
        case .running: .busy
        case .completed: .good
        case .silent, .failed, .deadLetter: .bad
        case .cancelled: .faint
        }
    }

    /// On as many lines as the terminal needs, the later ones below the text.
    private func wrapped(_ text: String, after start: String, _ screen: Screen) -> String {
        guard let width = screen.width, width > start.count + 20 else { return "\(start)\(text.oneLine)\n" }
        var lines: [String] = []
        var line = ""
        for word in text.oneLine.split(separator: " ") {
            if !line.isEmpty, start.count + line.displayWidth + 1 + word.displayWidth > width {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        lines.append(line)
        let indent = String(repeating: " ", count: start.count)
        return lines.enumerated().map { "\($0.offset == 0 ? start : indent)\($0.element)\n" }.joined()
    }
}
