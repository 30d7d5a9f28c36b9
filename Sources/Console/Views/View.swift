package import Terminal

/// What a command prints: the same thing for people and for programs.
package protocol View {
    /// Lines, each with its end; "" where there is nothing to show.
    func text(for screen: Screen) -> String
    /// Names in snake_case that stay as they are; times in UTC, as RFC 3339.
    var json: JSON { get }
}
