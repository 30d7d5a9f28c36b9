package import Settings
package import Terminal

/// Every setting, its value and where it came from.
package struct SettingsView: View {
    private let entries: [Configuration.Entry]

    package init(_ configuration: Configuration) { entries = configuration.describe() }

    package func text(for screen: Screen) -> String {
        var table = Table([.init("SETTING"), .init("VALUE", widthMin: 20), .init("FROM", widthMin: 12)])
        for entry in entries {
            let isSet = entry.origin != .default
            table.add([
                .init(entry.name, isSet ? .strong : nil), .init(entry.value, isSet ? nil : .faint),
                .init(entry.origin.description, isSet ? nil : .faint),
            ])
        }
        return table.text(for: screen)
    }

    package var json: JSON {
        .object([
            (
                "settings",
                .array(
                    entries.map { entry in
                        .object([
                            ("name", .string(entry.name)), ("value", .string(entry.value)),
                            ("origin", .string(entry.origin.description)),
                            ("is_default", .bool(entry.origin == .default)),
                            ("is_secret", .bool(entry.isSecret)), ("needs_restart", .bool(entry.reload == .restart)),
                            ("allowed", .string(entry.allowed)), ("help", .string(entry.help)),
                        ])
                    })
            )
        ])
    }
}
