package import Migrations

/// Indexes and triggers as the migrations make them, read from their text: what a migration adds is looked for without
/// being listed anywhere else. Statements that depend on what is there stand in blocks, are indented, and don't count.
package struct ExpectedSchema: Sendable {
    package struct Index: Sendable, Hashable {
        package let name: String
        package let table: String
        /// What makes it, without keeping writers waiting.
        package let statement: String
        var schema: String { table.split(separator: ".").first.map(String.init) ?? "public" }
    }

    package struct Trigger: Sendable, Hashable {
        package let name: String
        package let table: String
        var path: String { "\(table).\(name)" }
    }

    package private(set) var indexes: [Index] = []
    package private(set) var triggers: [Trigger] = []

    package init(_ migrations: [Migration] = Migration.all) {
        for migration in migrations {
            for statement in Self.statements(migration.sql) { take(statement) }
        }
    }

    private mutating func take(_ statement: Substring) {
        var words = statement.split { $0 == " " || $0 == "\n" }[...]
        guard let verb = words.popFirst(), verb == "CREATE" || verb == "DROP" else { return }
        if words.first == "OR" { words = words.dropFirst(2) }
        let isUnique = words.first == "UNIQUE"
        if isUnique { words = words.dropFirst() }
        guard let kind = words.popFirst(), kind == "INDEX" || kind == "TRIGGER" else { return }
        if words.first == "CONCURRENTLY" { words = words.dropFirst() }
        if words.first == "IF" { words = words.dropFirst(words.dropFirst().first == "NOT" ? 3 : 2) }
        if verb == "DROP" {
            let names = Set(words.map { Self.bare($0) })
            switch kind {
            case "INDEX": indexes.removeAll { names.contains($0.name) }
            default: triggers.removeAll { names.contains($0.name) && words.contains(Substring($0.table)) }
            }
            return
        }
        guard let name = words.first.map({ String($0) }), let on = words.firstIndex(of: "ON"),
            let table = words[words.index(after: on)...].first.map({ String($0) })
        else { return }
        if kind == "INDEX" {
            let rest = words[on...].joined(separator: " ")
            indexes.append(
                Index(
                    name: name, table: table,
                    statement: "CREATE \(isUnique ? "UNIQUE " : "")INDEX CONCURRENTLY \(name) \(rest);"))
        } else {
            let trigger = Trigger(name: name, table: table)
            if !triggers.contains(trigger) { triggers.append(trigger) }
        }
    }

    /// A name without its schema, and without the comma of a list.
    private static func bare(_ word: Substring) -> String {
        String(word.split(separator: ".").last ?? word).replacing(",", with: "")
    }

    /// The statements that begin at the start of a line, up to their semicolon.
    private static func statements(_ sql: String) -> [Substring] {
        var statements: [Substring] = []
        var rest = sql[...]
        while let line = rest.firstIndex(where: { $0 != "\n" }) {
            rest = rest[line...]
            let end = rest.firstIndex(of: "\n") ?? rest.endIndex
            if rest.hasPrefix("CREATE") || rest.hasPrefix("DROP") {
                let stop = rest.firstIndex(of: ";") ?? rest.endIndex
                statements.append(rest[..<stop])
            }
            rest = rest[end...]
        }
        return statements
    }
}
