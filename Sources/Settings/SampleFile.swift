extension Catalog {
    /// A configuration file with every setting, all commented out. The package's `config.yaml` is this text.
    public static var sampleFile: String {
        var lines = wrapped(
            """
            Settings of jobworker. Each line that is commented out shows the default, or an example where there is \
            none. The variable of the same name in upper case, a systemd credential of the same name and a flag \
            each win over this file. 'jobworker config' shows what holds and where it came from; 'systemctl reload \
            jobworker' takes over what needs no restart.
            """)
        lines += ["#"]
        lines += wrapped("Secrets are better kept as credentials: see LoadCredentialEncrypted= in systemd.exec(5).")
        for section in sections {
            lines += ["", "# ---- \(section.title) ----"]
            for setting in section.settings { lines += [""] + setting.sampleLines }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension AnySetting {
    fileprivate var sampleLines: [String] {
        let restart = reload == .restart ? " A change needs a restart." : ""
        let isTold = example == fallbackText || fallbackText == "none"
        let absent = isTold ? "" : " Without it: \(fallbackText)."
        let item = example.isEmpty ? "#\(key):" : "#\(key): \(example)"
        return wrapped(help + absent) + wrapped("Must be \(allowed).\(restart)") + [item]
    }
}

/// The text as lines of a comment, of at most 100 characters where its words allow it.
private func wrapped(_ text: String) -> [String] {
    var lines: [String] = []
    var line = "#"
    for word in text.split(separator: " ") {
        if line.count + 1 + word.count > 100 {
            lines.append(line)
            line = "#"
        }
        line += " \(word)"
    }
    return lines + [line]
}
