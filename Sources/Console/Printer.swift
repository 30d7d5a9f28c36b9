package import Terminal

/// Prints views to standard output, and what is said about them to standard error.
@MainActor
package struct Printer {
    package let isJSON: Bool
    private let output: Output
    private let error: Output

    package init(isJSON: Bool, output: Output = .standard, error: Output = .error) {
        self.isJSON = isJSON
        self.output = output
        self.error = error
    }

    /// Whether somebody still reads.
    package var isOpen: Bool { output.isOpen }

    /// Whether a view may be drawn again in its place.
    package var canRedraw: Bool { output.isTerminal && !isJSON }

    /// One view, or one document.
    package func show(_ view: some View) {
        if isJSON { output.line(view.json.document) } else { output.write(view.text(for: .of(output))) }
    }

    /// One of many, a line each as JSON.
    package func stream(_ view: some View) {
        if isJSON { output.line(view.json.line) } else { output.write(view.text(for: .of(output))) }
    }

    /// In place of the frame's last drawing.
    package func redraw(_ view: some View, _ frame: inout LiveFrame) {
        output.write(frame.drawing(view.text(for: .of(output)), height: output.height))
    }

    /// The same, with lines that stay written above it.
    package func redraw(_ view: some View, below lines: [some View], _ frame: inout LiveFrame) {
        let screen = Screen.of(output)
        var text = lines.isEmpty ? "" : frame.drawing("", height: nil)
        text += lines.map { $0.text(for: screen) }.joined()
        output.write(text + frame.drawing(view.text(for: screen), height: output.height))
    }

    /// Text that is data as it is.
    package func write(_ text: String) { output.write(text) }

    /// Lines that are data: ids, keys.
    package func lines(_ lines: [String]) {
        guard !lines.isEmpty else { return }
        output.write(lines.joined(separator: "\n") + "\n")
    }

    /// A remark for people, on standard error.
    package func remark(_ text: String) { error.line(text) }

    /// How a job that was waited for ended, on standard error.
    package func remark(_ ended: EndedLine) { error.line(ended.text(for: .of(error))) }

    /// A remark that only helps where a person reads the output.
    package func hint(_ text: String) {
        if output.isTerminal, !isJSON { error.line(Screen.of(error).palette.paint(text, .faint)) }
    }
}
